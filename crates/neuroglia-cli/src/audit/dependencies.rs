//! II: what is depended on is declared and locked.

use serde_json::Value;

use crate::audit::evidence::Evidence;
use crate::audit::finding::{Factor, Finding};

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut fault =
        |at: String, what: String, fix: &str| findings.push(Factor::Dependencies.fault(at, what, fix));
    let is_tracked = |tracked: &Vec<String>| tracked.iter().any(|path| path == "Cargo.lock");
    if !evidence.tracked.as_ref().is_some_and(is_tracked) {
        let fix = "commit it: an application is built of exactly what was tested";
        fault("Cargo.lock".to_owned(), "it is not under version control".to_owned(), fix);
    }
    match &evidence.metadata {
        Err(failure) => {
            fault("Cargo.lock".to_owned(), failure.clone(), "run `cargo update --workspace`, and commit it")
        }
        Ok(metadata) => {
            let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
            // What comes from nowhere else is of the workspace.
            for package in packages.iter().filter(|package| package["source"].is_null()) {
                for name in wildcards(package) {
                    let at = format!("the manifest of {}", package["name"].as_str().unwrap_or_default());
                    fault(
                        at,
                        format!("any version of {name} will do"),
                        "name the version that it was written for",
                    );
                }
            }
        }
    }
    for (path, line) in build_lines(evidence).filter(|(_, line)| !line.contains("--locked")) {
        fault(path.to_owned(), format!("`{line}` may choose other versions than Cargo.lock"), "add --locked");
    }
    findings
}

fn wildcards(package: &Value) -> Vec<&str> {
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    // One that is a folder of the workspace has no other version.
    dependencies
        .filter(|dependency| dependency["req"] == "*" && dependency["path"].is_null())
        .filter_map(|dependency| dependency["name"].as_str())
        .collect()
}

/// The lines of Dockerfiles that build by cargo, continued lines included.
fn build_lines(evidence: &Evidence) -> impl Iterator<Item = (&str, String)> {
    let files = evidence.files.iter().filter(|(path, _)| path.ends_with("Dockerfile"));
    files.flat_map(|(path, text)| {
        let joined = text.replace("\\\n", " ");
        let lines: Vec<String> = joined
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .filter(|line| line.contains("cargo build") || line.contains("cargo install"))
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        lines.into_iter().map(move |line| (path.as_str(), line))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::audit::evidence::tests::with;

    #[test]
    fn what_is_not_locked_is_found() {
        let found = |change: fn(&mut Evidence)| {
            let findings = check(&with(change));
            assert_eq!(findings.len(), 1, "{findings:?}");
            findings[0].at.clone()
        };
        assert_eq!(found(|evidence| evidence.tracked = Some(Vec::new())), "Cargo.lock");
        assert_eq!(
            found(|evidence| evidence.metadata = Err("the lock file needs to be updated".to_owned())),
            "Cargo.lock"
        );
        assert_eq!(
            found(|evidence| {
                evidence.metadata = Ok(json!({"packages": [
                    {"name": "shop", "source": null, "dependencies": [
                        {"name": "a", "req": "*", "path": null}, {"name": "b", "req": "*", "path": "/b"},
                    ]},
                ]}));
            }),
            "the manifest of shop"
        );
        assert_eq!(
            found(|evidence| evidence.files[0].1 = "RUN x \\\n  && cargo build --release\n".to_owned()),
            "shop/deployment/Dockerfile"
        );
    }
}
