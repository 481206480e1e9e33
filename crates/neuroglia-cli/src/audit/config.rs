//! III: configuration in the environment, and no secret beside the code.

use crate::audit::evidence::Evidence;
use crate::audit::finding::{Factor, Finding};

/// How a private key begins, in two pieces: this file holds none.
const PRIVATE_KEY: (&str, &str) = ("-----BEGIN", "PRIVATE KEY-----");

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut fault = |at: &str, what: String, fix: String| findings.push(Factor::Config.fault(at, what, fix));
    for path in evidence.tracked.iter().flatten() {
        if path == ".env" || path.ends_with("/.env") {
            let fix = "`git rm --cached` it, add it to .gitignore, and make new secrets if it had any";
            fault(path, "the settings of one machine are under version control".to_owned(), fix.to_owned());
        }
    }
    for (path, text) in &evidence.files {
        if text.lines().any(|line| line.contains(PRIVATE_KEY.0) && line.contains(PRIVATE_KEY.1)) {
            let fix = "take it out, make a new one, and name its file by a variable";
            fault(path, "a private key stands here".to_owned(), fix.to_owned());
        }
    }
    for deploy in &evidence.deploys {
        for name in &deploy.judgement.secrets {
            let fix =
                format!("write {name}_FILE=/run/secrets/{}, and change the secret", name.to_lowercase());
            fault(&deploy.shown, format!("{name} is a secret and stands here"), fix);
        }
    }
    for deploy in evidence.real_deploys() {
        for problem in &deploy.judgement.faults {
            let (what, fix) = problem.rsplit_once(": ").unwrap_or((problem, "mend it"));
            fault(&deploy.shown, what.to_owned(), fix.to_owned());
        }
    }
    for deploy in evidence.real_deploys() {
        findings.extend(deploy.judgement.warnings.iter().map(|warning| {
            let (what, fix) = warning.rsplit_once(": ").unwrap_or((warning, "see to it"));
            Factor::Config.note(&deploy.shown, what, fix)
        }));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::evidence::tests::with;

    #[test]
    fn secrets_and_faulty_settings_are_found() {
        let found = |change: fn(&mut Evidence)| {
            let findings = check(&with(change));
            assert_eq!(findings.len(), 1, "{findings:?}");
            findings.into_iter().next().map(|finding| finding.to_string()).unwrap_or_default()
        };
        assert!(
            found(|evidence| evidence.tracked = Some(vec!["shop/.env".to_owned()])).contains("shop/.env")
        );
        let key = format!("{} EC {}\n", PRIVATE_KEY.0, PRIVATE_KEY.1);
        let mut evidence = with(|_| {});
        evidence.files.push(("shop/key.pem".to_owned(), key));
        assert_eq!(check(&evidence).len(), 1);
        let secret = found(|evidence| evidence.deploys[0].judgement.secrets.push("API_KEY".to_owned()));
        assert!(secret.contains("API_KEY_FILE=/run/secrets/api_key"), "{secret}");
        let fault = found(|evidence| {
            evidence.deploys[1]
                .judgement
                .faults
                .push("`PORT` is not valid (variable PORT): write 8000".to_owned());
        });
        assert!(fault.contains("(variable PORT)\n  do  write 8000"), "{fault}");
        let clean = with(|evidence| evidence.deploys[0].judgement.faults.push("no key: make one".to_owned()));
        assert_eq!(check(&clean), [], "`neuroglia dev` makes what development lacks");
    }
}
