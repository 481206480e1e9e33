//! I: one codebase under version control, many deploys.

use crate::audit::evidence::Evidence;
use crate::audit::finding::{Factor, Finding};

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    if evidence.tracked.as_ref().is_none_or(Vec::is_empty) {
        findings.push(Factor::Codebase.fault(
            ".",
            "nothing is under version control",
            "`git init`, and commit the source",
        ));
    }
    if evidence.real_deploys().next().is_none() {
        let at = format!("{}/deployment", evidence.shown);
        let fix =
            "add deployment/production/app.env, with what differs from other deploys and nothing secret";
        findings.push(Factor::Codebase.fault(at, "there is no deploy beside development", fix));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::evidence::tests::with;

    #[test]
    fn no_history_and_no_deploy_are_found() {
        assert_eq!(check(&with(|evidence| evidence.tracked = None)).len(), 1);
        assert_eq!(check(&with(|evidence| evidence.deploys.truncate(1))).len(), 1);
    }
}
