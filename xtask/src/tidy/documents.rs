//! Rules over the Markdown pages: links lead somewhere, code blocks hold something.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::pages::{Block, Promise, blocks, promise};
use crate::tidy::check::Finding;

/// The pages that the doc tests of a source include, relative to the workspace as its own path is.
pub(super) fn included(path: &Path, source: &str) -> impl Iterator<Item = String> {
    let texts = source.lines().filter_map(|line| line.trim_start().strip_prefix("#[doc = include_str!(\""));
    texts.filter_map(|rest| {
        let mut page = path.parent()?.to_owned();
        for part in rest.split_once('"')?.0.split('/') {
            match part {
                ".." => _ = page.pop(),
                part => page.push(part),
            }
        }
        Some(page.to_string_lossy().into_owned())
    })
}

/// Checks all pages; `compiled` are those that doc tests include, and `exists` answers for paths relative to the
/// workspace.
pub(super) fn check(
    pages: &BTreeMap<String, String>,
    compiled: &BTreeSet<String>,
    exists: &dyn Fn(&str) -> bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in pages {
        let mut report = |line: usize, remedy: String| {
            findings.push(Finding { path: path.clone(), line, remedy });
        };
        for block in blocks(text) {
            if let Some(fault) = fault_of_block(path, compiled.contains(path), &block) {
                report(block.line, fault);
            }
        }
        for (line, named) in named_paths(text).filter(|(_, named)| !exists(named)) {
            report(line, format!("there is no `{named}`: name what shows it now"));
        }
        for (line, target) in links(text) {
            if let Some(fault) = fault_of_link(path, &target, pages, exists) {
                report(line, fault);
            }
        }
    }
    findings
}

/// What is wrong with a block of code: each is compiled, run or checked by something.
fn fault_of_block(page: &str, is_compiled: bool, block: &Block<'_>) -> Option<String> {
    let language = block.language();
    if !block.is_shell() && language != "rust" {
        return None;
    }
    if block.lines.iter().all(|line| line.trim().is_empty()) {
        return Some(format!("empty `{language}` block: fill it or remove it"));
    }
    // The tests that walk blocks read the README.
    let is_readme = page == "README.md";
    match (language, promise(block)) {
        ("rust", _) if is_compiled => None,
        ("rust", _) => Some(
            "nothing compiles this: let the doc tests of a crate include the page, or move it into a crate"
                .to_owned(),
        ),
        (_, None) => {
            Some(format!("say what is promised: `{language} run`, `run exit=78`, `check`, or `unrun: why`"))
        }
        (_, Some(Promise::Walked)) if !is_readme => {
            Some("only the README's blocks are walked: mark it `run` or `check`".to_owned())
        }
        _ => None,
    }
}

/// What is wrong with a link from `page`, if it leads inside the repository.
fn fault_of_link(
    page: &str,
    target: &str,
    pages: &BTreeMap<String, String>,
    exists: &dyn Fn(&str) -> bool,
) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let Some(file) = resolve(page, file) else {
        return Some(format!("link to `{target}`: use a path relative to this page, inside the repository"));
    };
    if !exists(&file) {
        return Some(format!("link to `{target}`: there is no {file}"));
    }
    match pages.get(&file) {
        Some(text) if !anchor.is_empty() && !anchors(text).iter().any(|known| known == anchor) => {
            Some(format!("link to `{target}`: {file} has no heading `#{anchor}`"))
        }
        _ => None,
    }
}

/// The path that a relative link from `page` means; `None` when it leaves the repository.
fn resolve(page: &str, link: &str) -> Option<String> {
    if link.is_empty() {
        return Some(page.to_owned());
    }
    if link.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The files and folders of the repository that a page speaks of in inline code, each with its line.
fn named_paths(text: &str) -> impl Iterator<Item = (usize, &str)> {
    const ROOMS: [&str; 4] = ["crates/", "samples/", "xtask/", "docs/"];
    let is_one = |span: &&str| {
        ROOMS.iter().any(|room| span.starts_with(room)) && !span.contains(['*', ' ', '<', '…', '{'])
    };
    text.lines().enumerate().flat_map(move |(index, line)| {
        line.split('`').skip(1).step_by(2).filter(is_one).map(move |span| (index + 1, span))
    })
}

/// The lines of a page outside code blocks, with inline code blanked out.
fn prose(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut in_block = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = is_fence(line);
        in_block ^= is_fence;
        (!is_fence && !in_block).then(|| (index + 1, without_inline_code(line)))
    })
}

fn is_fence(line: &str) -> bool {
    line.trim_start().starts_with("```")
}

fn without_inline_code(line: &str) -> String {
    if line.matches('`').count() % 2 == 1 {
        return line.to_owned();
    }
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// The targets of inline links and of link definitions, each with its line.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (number, line) in prose(text) {
        for (_, rest) in line.match_indices("](").map(|(at, mark)| (at, &line[at + mark.len()..])) {
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            links.push((number, target.to_owned()));
        }
        if let Some((_, target)) = line.split_once("]: ").filter(|_| line.starts_with('[')) {
            links.push((number, target.split(' ').next().unwrap_or_default().to_owned()));
        }
    }
    links
}

/// The anchors of a page's headings, as forges derive them.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors = Vec::new();
    let mut seen = BTreeMap::<String, usize>::new();
    let mut in_block = false;
    for line in text.lines() {
        in_block ^= is_fence(line);
        let heading = line.trim_start_matches('#');
        if in_block || heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let kept = |character: &char| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_');
        let anchor: String = heading.trim().to_lowercase().chars().filter(kept).collect();
        let anchor = anchor.replace(' ', "-");
        let earlier = seen.entry(anchor.clone()).or_default();
        anchors.push(if *earlier == 0 { anchor } else { format!("{anchor}-{earlier}") });
        *earlier += 1;
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remedies(pages: &[(&str, &str)]) -> Vec<String> {
        let pages: BTreeMap<_, _> =
            pages.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        let exists = |path: &str| pages.contains_key(path) || path == "src/lib.rs" || path == "docs";
        let compiled = included(
            Path::new("crates/neuroglia/src/lib.rs"),
            "#[cfg(doctest)]\n#[doc = include_str!(\"../../../README.md\")]\nmod readme {}\n",
        );
        check(&pages, &compiled.collect(), &exists)
            .into_iter()
            .map(|finding| format!("{}:{}: {}", finding.path, finding.line, finding.remedy))
            .collect()
    }

    #[test]
    fn links_resolve_from_the_page_that_holds_them() {
        let found = remedies(&[
            (
                "README.md",
                "# A\n[a](docs/a.md#two-words) [b](#a) [c](https://example.com/x) [d](src/lib.rs)\n",
            ),
            ("docs/a.md", "## Two `words`!\n[up](../README.md) `[no](link)`\n```text\n[no](link)\n```\n"),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn broken_links_are_told_with_their_line() {
        let found = remedies(&[(
            "docs/a.md",
            "text\n[gone](b.md)\n[out](../../etc)\n[root](/README.md)\n[x](#none)\n\n[ref]: c.md\n",
        )]);
        assert_eq!(
            found,
            [
                "docs/a.md:2: link to `b.md`: there is no docs/b.md",
                "docs/a.md:3: link to `../../etc`: use a path relative to this page, inside the repository",
                "docs/a.md:4: link to `/README.md`: use a path relative to this page, inside the repository",
                "docs/a.md:5: link to `#none`: docs/a.md has no heading `#none`",
                "docs/a.md:7: link to `c.md`: there is no docs/c.md",
            ]
        );
    }

    #[test]
    fn files_that_a_page_speaks_of_exist() {
        let found = remedies(&[("docs/a.md", "`docs/a.md` and `docs/b.md`\n`cargo test` `crates/*`\n")]);
        assert_eq!(found, ["docs/a.md:1: there is no `docs/b.md`: name what shows it now"]);
    }

    #[test]
    fn repeated_headings_are_numbered() {
        assert_eq!(
            anchors("# One\n## One\n## Two, three\n### One\n"),
            ["one", "one-1", "two-three", "one-2"]
        );
    }

    #[test]
    fn blocks_that_nothing_holds_to_their_word_are_found() {
        let rust = "```rust,no_run\nfn main() {}\n```\n";
        let page = format!("```bash run\n\n```\n{rust}```text\n```\n```bash\nls\n```\n```sh tour\nls\n```\n");
        let found = remedies(&[("README.md", rust), ("a.md", &page)]);
        let expected = [
            "a.md:1: empty `bash` block",
            "a.md:4: nothing compiles this",
            "a.md:9: say what is promised",
            "a.md:12: only the README's blocks",
        ];
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (finding, start) in found.iter().zip(expected) {
            assert!(finding.starts_with(start), "{finding}");
        }
    }
}
