//! X: deploys attach the same kinds of resource.

use crate::audit::evidence::{Deploy, Evidence};
use crate::audit::finding::{Factor, Finding};

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    let real: Vec<&Deploy> = evidence.real_deploys().collect();
    let mut findings = Vec::new();
    for pair in real.windows(2) {
        for (name, has, lacks) in differences(pair[0], pair[1]) {
            let what = format!("{} attaches {name}, and {} does not", has.name, lacks.name);
            let fix = "attach it in both, or what is tried out is not what runs";
            findings.push(Factor::Parity.fault(&lacks.shown, what, fix));
        }
    }
    if let (Some(development), Some(last)) = (evidence.development(), real.last()) {
        for (name, has, lacks) in differences(development, last) {
            let what = format!("{} attaches {name}, and {} does not", has.name, lacks.name);
            let fix = "let a developer's machine have the same where it can";
            findings.push(Factor::Parity.note(&lacks.shown, what, fix));
        }
    }
    findings
}

/// The resources that one of the two attaches: the name, who has it, and who does not.
fn differences<'a>(one: &'a Deploy, other: &'a Deploy) -> Vec<(&'a str, &'a Deploy, &'a Deploy)> {
    let (of_one, of_other) = (one.attached(), other.attached());
    let only_one = of_one.iter().filter(|name| !of_other.contains(name)).map(|name| (*name, one, other));
    let only_other = of_other.iter().filter(|name| !of_one.contains(name)).map(|name| (*name, other, one));
    only_one.chain(only_other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::evidence::tests::{deploy, with};
    use crate::audit::finding::Weight;

    #[test]
    fn a_resource_that_only_some_deploys_have_is_found() {
        assert_eq!(check(&with(|_| {})), []);
        let cached = || deploy("staging", &[("CACHE_URL_FILE", "/run/secrets/cache_url")]);
        let findings = check(&with(|evidence| evidence.deploys.push(cached())));
        assert_eq!(
            findings.iter().map(|finding| finding.weight).collect::<Vec<_>>(),
            [Weight::Fault, Weight::Note]
        );
        assert!(findings[0].what.contains("CACHE_URL"), "{findings:?}");
    }
}
