//! What the Markdown pages tell a reader to type, and whether it holds.
//!
//! Every block of shell says in its first line what is promised of it: ```` ```bash run ```` ends well on a fresh
//! clone, `run exit=78` ends with that code, `check` names commands and options that exist but does not run them here
//! (they serve until they are stopped, take long, or are what runs this), `tour` is walked by the sample's own test,
//! `stages` by the one of the command line, and `unrun: why` is for the rest. [`tidy`](crate::tidy) refuses a block that promises nothing; the step `pages` of
//! `cargo xtask test` keeps the promises of the first two kinds.

use std::process::Stdio;

use serde_json::Value;

use crate::workspace::{Result, Workspace, typed};

/// The settings of the sample that the reader of a page has not made yet.
const NOT_SET: [&str; 5] = ["DATABASE_URL", "JWT_SECRET_KEY", "PORT", "SERVER_PORT", "ADMIN_PORT"];

/// A block of code in a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block<'a> {
    /// The line of its fence.
    pub(crate) line: usize,
    /// What stands behind the fence.
    pub(crate) information: &'a str,
    pub(crate) lines: Vec<&'a str>,
}

impl Block<'_> {
    pub(crate) fn language(&self) -> &str {
        self.information.split([',', ' ']).next().unwrap_or_default()
    }

    pub(crate) fn is_shell(&self) -> bool {
        matches!(self.language(), "bash" | "sh" | "console")
    }
}

/// Every block of a page, in order.
pub(crate) fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for (index, line) in page.lines().enumerate() {
        match (open.take(), line.trim_start().strip_prefix("```")) {
            (None, Some(rest)) => {
                let information = rest.trim_start_matches('`').trim();
                open = Some(Block { line: index + 1, information, lines: Vec::new() });
            }
            (Some(block), Some(_)) => blocks.push(block),
            (Some(mut block), None) => {
                block.lines.push(line);
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    blocks
}

/// What a block of shell promises.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// It can be run, and ends with this code.
    Runs { exit: i32 },
    /// Its commands exist.
    Exists,
    /// The sample's test walks it, or the command line's.
    Walked,
    /// Nothing, for a reason.
    Nothing,
}

/// The promise of a block of shell; `None` when it makes none.
pub(crate) fn promise(block: &Block<'_>) -> Option<Promise> {
    match block.information.split_whitespace().collect::<Vec<_>>()[1..] {
        ["run"] => Some(Promise::Runs { exit: 0 }),
        ["run", exit] => Some(Promise::Runs { exit: exit.strip_prefix("exit=")?.parse().ok()? }),
        ["check"] => Some(Promise::Exists),
        ["tour" | "stages"] => Some(Promise::Walked),
        ["unrun:", _, ..] => Some(Promise::Nothing),
        _ => None,
    }
}

/// Keeps the promises of all pages.
///
/// # Errors
/// Every block that does not do what it promises.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let metadata = workspace.metadata()?;
    let mut failures = Vec::new();
    for path in workspace.files("md")? {
        let page = workspace.read(&path)?;
        for block in blocks(&page).iter().filter(|block| block.is_shell()) {
            let place = format!("{}:{}", path.display(), block.line);
            let outcome = match promise(block) {
                Some(Promise::Runs { exit }) => run_block(workspace, &place, block, exit),
                Some(Promise::Exists) => check_block(workspace, block, &metadata),
                _ => Ok(()),
            };
            failures.extend(outcome.err().map(|failure| format!("{place}: {failure}")));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// Runs the block as a reader would, in the root of a fresh clone.
fn run_block(workspace: &Workspace, place: &str, block: &Block<'_>, exit: i32) -> Result<()> {
    println!("{place}\n  {}", block.lines.join("\n  "));
    let mut bash = typed("bash");
    bash.args(["-c", &format!("set -euo pipefail\n{}", block.lines.join("\n"))]);
    bash.current_dir(&workspace.root).stdin(Stdio::null());
    for name in NOT_SET {
        bash.env_remove(name);
    }
    let output = bash.output().map_err(|error| format!("bash does not start: {error}"))?;
    if output.status.code() == Some(exit) {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    Err(format!(
        "it promises to end with {exit}, and ended otherwise ({})\n{}",
        output.status,
        said.trim_end()
    ))
}

fn check_block(workspace: &Workspace, block: &Block<'_>, metadata: &Value) -> Result<()> {
    let commands = block.lines.iter().map(|line| line.split('#').next().unwrap_or_default().trim());
    for command in commands.filter(|command| !command.is_empty()) {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words[..] {
            // The command line itself judges its options before it explains them.
            ["cargo", "xtask" | "neuroglia", ..] => {
                let mut explain = workspace.cargo();
                explain.args(&words[1..]).arg("--help").stdout(Stdio::null());
                crate::workspace::run(&mut explain)?;
            }
            ["cargo", "test" | "build" | "run", ref options @ ..] => check_targets(options, metadata)?,
            _ => return Err(format!("`{command}` cannot be checked: mark the block `run`, or `unrun: why`")),
        }
    }
    Ok(())
}

/// Checks that the package of a cargo command exists, and its test when it names one.
fn check_targets(options: &[&str], metadata: &Value) -> Result<()> {
    let value_of = |names: &[&str]| {
        let at = options.iter().position(|option| names.contains(option))?;
        options.get(at + 1).copied()
    };
    let package = value_of(&["--package", "-p"]).ok_or("it names no package")?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let found = packages.into_iter().find(|known| known["name"] == package && known["source"].is_null());
    let found = found.ok_or_else(|| format!("there is no package {package}"))?;
    let Some(test) = value_of(&["--test"]) else { return Ok(()) };
    let is_test = |target: &Value| target["name"] == test && target["kind"][0] == "test";
    if found["targets"].as_array().is_some_and(|targets| targets.iter().any(is_test)) {
        return Ok(());
    }
    Err(format!("{package} has no test {test}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blocks_have_a_line_a_language_and_a_text() {
        let page = "a\n```bash run\nb\n\n```\n  ```text\n  ```\n";
        let expected = [
            Block { line: 2, information: "bash run", lines: vec!["b", ""] },
            Block { line: 6, information: "text", lines: Vec::new() },
        ];
        assert_eq!(blocks(page), expected);
        assert!(expected[0].is_shell() && !expected[1].is_shell());
    }

    #[test]
    fn a_promise_is_one_of_few_words() {
        let of = |information| promise(&Block { line: 1, information, lines: Vec::new() });
        assert_eq!(of("bash run"), Some(Promise::Runs { exit: 0 }));
        assert_eq!(of("bash run exit=78"), Some(Promise::Runs { exit: 78 }));
        assert_eq!(of("bash check"), Some(Promise::Exists));
        assert_eq!(of("sh tour"), Some(Promise::Walked));
        assert_eq!(of("bash stages"), Some(Promise::Walked));
        assert_eq!(of("sh unrun: it publishes"), Some(Promise::Nothing));
        for nothing in ["bash", "bash unrun:", "bash run exit=x", "bash perhaps"] {
            assert_eq!(of(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn packages_and_tests_must_exist() {
        let it = json!({"name": "it", "kind": ["test"]});
        let metadata = json!({"packages": [{"name": "shop", "source": null, "targets": [it]}]});
        let check = |options: &[&str]| check_targets(options, &metadata);
        assert_eq!(check(&["-p", "shop", "--test", "it", "orders"]), Ok(()));
        assert_eq!(check(&["--release", "--package", "shop"]), Ok(()));
        assert_eq!(check(&["--package", "shap"]), Err("there is no package shap".to_owned()));
        assert_eq!(check(&["--package", "shop", "--test", "at"]), Err("shop has no test at".to_owned()));
        assert!(check(&["--workspace"]).is_err());
    }
}
