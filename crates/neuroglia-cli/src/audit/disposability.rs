//! IX: whoever stops a process waits until it has finished.

use std::time::Duration;

use neuroglia_core::settings::Value as Setting;

use crate::audit::evidence::{Deploy, Evidence};
use crate::audit::finding::{Factor, Finding};

/// How much longer than its own deadline the host may take to end.
const KILL_MARGIN: Duration = Duration::from_secs(2);

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    let Some(needed) = evidence.real_deploys().filter_map(shutdown_timeout).max() else { return Vec::new() };
    let needed = needed + KILL_MARGIN;
    let mut findings = Vec::new();
    for (path, text) in &evidence.files {
        for (line, grace) in text.lines().filter_map(|line| Some((line, grace(line)?))) {
            if grace < needed {
                let what = format!("`{}` kills before SHUTDOWN_TIMEOUT is over", line.trim());
                let fix = format!("wait for {} s at least", needed.as_secs());
                findings.push(Factor::Disposability.fault(path, what, fix));
            }
        }
    }
    findings
}

fn shutdown_timeout(deploy: &Deploy) -> Option<Duration> {
    let setting = deploy.settings.iter().find(|setting| setting["name"] == "SHUTDOWN_TIMEOUT")?;
    <Duration as Setting<_>>::parse(setting["value"].as_str()?).ok()
}

/// How long the platform waits, as a line of a manifest or a unit says it.
fn grace(line: &str) -> Option<Duration> {
    let line = line.trim();
    let seconds =
        ["terminationGracePeriodSeconds:", "TimeoutStopSec="].iter().find_map(|key| line.strip_prefix(key));
    if let Some(seconds) = seconds {
        return seconds.trim().parse().ok().map(Duration::from_secs);
    }
    let text = line.strip_prefix("stop_grace_period:")?.trim().trim_matches('"');
    <Duration as Setting<_>>::parse(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::evidence::tests::with;

    #[test]
    fn a_platform_that_does_not_wait_is_found() {
        let found = |line: &str| {
            let text = format!("  {line}\n");
            check(&with(|evidence| evidence.files[1].1 = text)).len()
        };
        for line in ["terminationGracePeriodSeconds: 30", "stop_grace_period: \"10s\"", "TimeoutStopSec=31"] {
            assert_eq!(found(line), 1, "{line}");
        }
        for line in ["terminationGracePeriodSeconds: 32", "stop_grace_period: 1m", "TimeoutStopSec=infinity"]
        {
            assert_eq!(found(line), 0, "{line}");
        }
    }
}
