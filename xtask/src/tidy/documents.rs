//! Rules over the Markdown pages: links lead somewhere, code blocks hold something.

use std::collections::BTreeMap;

use crate::tidy::check::Finding;

/// Checks all pages; `exists` answers for paths relative to the workspace.
pub(super) fn check(pages: &BTreeMap<String, String>, exists: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in pages {
        let mut report = |line: usize, remedy: String| {
            findings.push(Finding { path: path.clone(), line, remedy });
        };
        for (line, language) in empty_code_blocks(text) {
            report(line, format!("empty `{language}` block: fill it or remove it"));
        }
        for (line, target) in links(text) {
            if let Some(fault) = fault_of_link(path, &target, pages, exists) {
                report(line, fault);
            }
        }
    }
    findings
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

/// The blocks that promise something to run or to compile and hold nothing.
fn empty_code_blocks(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, &str, bool)> = None;
    for (index, line) in text.lines().enumerate() {
        match (&mut open, is_fence(line)) {
            (None, true) => {
                let information = line.trim_start().trim_start_matches('`');
                let language = information.split([',', ' ']).next().unwrap_or_default();
                open = Some((index + 1, language, false));
            }
            (Some((start, language, is_filled)), true) => {
                if !*is_filled && matches!(*language, "bash" | "sh" | "console" | "rust") {
                    found.push((*start, *language));
                }
                open = None;
            }
            (Some((_, _, is_filled)), false) => *is_filled |= !line.trim().is_empty(),
            (None, false) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remedies(pages: &[(&str, &str)]) -> Vec<String> {
        let pages: BTreeMap<_, _> =
            pages.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        let exists = |path: &str| pages.contains_key(path) || path == "src/lib.rs" || path == "docs";
        check(&pages, &exists)
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
    fn repeated_headings_are_numbered() {
        assert_eq!(
            anchors("# One\n## One\n## Two, three\n### One\n"),
            ["one", "one-1", "two-three", "one-2"]
        );
    }

    #[test]
    fn empty_blocks_are_found() {
        let found =
            remedies(&[("a.md", "```bash\n\n```\n```rust,no_run\nfn main() {}\n```\n```text\n```\n")]);
        assert_eq!(found, ["a.md:1: empty `bash` block: fill it or remove it"]);
    }
}
