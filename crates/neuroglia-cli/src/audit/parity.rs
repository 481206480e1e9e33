//! X: deploys attach the same kinds of resource. The application itself compares them, by its own rules.

use crate::audit::evidence::Evidence;
use crate::audit::finding::{Factor, Finding};

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    for comparison in &evidence.comparisons {
        for difference in comparison.differences.iter().filter(|difference| difference["matters"] == true) {
            let text = |name: &str| difference[name].as_str().unwrap_or_default();
            let values = difference["values"].as_array().into_iter().flatten();
            let values: Vec<_> = values.filter_map(|value| value.as_str()).collect();
            let what = format!("{} is {}", text("at"), values.join(" here and there "));
            // A developer's machine may have less, and somebody should know.
            let finding = if comparison.with_development { Factor::note } else { Factor::fault };
            findings.push(finding(Factor::Parity, comparison.shown.clone(), what, text("why").to_owned()));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::audit::evidence::Comparison;
    use crate::audit::evidence::tests::with;
    use crate::audit::finding::Weight;

    #[test]
    fn what_matters_is_found_and_of_development_only_noted() {
        for (with_development, weight) in [(true, Weight::Note), (false, Weight::Fault)] {
            let difference = |matters: bool| json!({"matters": matters, "at": "CACHE_URL", "values": ["memory", "redis"], "why": "other promises"});
            let comparison = Comparison {
                shown: "dev and production".to_owned(),
                with_development,
                differences: vec![difference(true), difference(false)],
            };
            let findings = check(&with(|evidence| evidence.comparisons.push(comparison)));
            assert_eq!(findings.iter().map(|finding| finding.weight).collect::<Vec<_>>(), [weight]);
            assert_eq!(findings[0].what, "CACHE_URL is memory here and there redis");
        }
    }
}
