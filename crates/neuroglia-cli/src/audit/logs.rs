//! XI: the log is a stream of events on standard output.

use crate::audit::evidence::Evidence;
use crate::audit::finding::{Factor, Finding};

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    for deploy in evidence.real_deploys() {
        if deploy.environment.get("LOG_FORMAT") == Some("text") {
            let fix = "write LOG_FORMAT=json, or leave it out";
            findings.push(Factor::Logs.fault(
                &deploy.shown,
                "LOG_FORMAT is text, which no collector takes apart",
                fix,
            ));
        }
        for (name, _) in deploy.environment.variables().filter(|(name, _)| names_a_file(name)) {
            let what = format!("{name} sends the log to a file");
            findings.push(Factor::Logs.fault(
                &deploy.shown,
                what,
                "remove it: who runs the process takes the stream",
            ));
        }
    }
    findings
}

fn names_a_file(name: &str) -> bool {
    let is_log = name.starts_with("LOG_") || name.contains("_LOG_");
    is_log && ["_FILE", "_PATH", "_DIR", "_FOLDER"].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::evidence::tests::{deploy, with};

    #[test]
    fn a_log_that_is_no_stream_of_events_is_found() {
        for (name, value) in [("LOG_FORMAT", "text"), ("LOG_FILE", "/var/log/shop.log")] {
            let production = deploy("production", &[(name, value)]);
            assert_eq!(check(&with(|evidence| evidence.deploys[1] = production)).len(), 1, "{name}");
        }
        let development = deploy("dev", &[("LOG_FORMAT", "text")]);
        assert_eq!(check(&with(|evidence| evidence.deploys[0] = development)), []);
    }
}
