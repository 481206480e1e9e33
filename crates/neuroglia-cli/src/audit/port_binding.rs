//! VII: the application is its own server, on a port that it is told.

use crate::audit::evidence::Evidence;
use crate::audit::finding::{Factor, Finding};
use crate::procfile::Process;

/// The ports below this one belong to the superuser, and no process has to be that.
const UNPRIVILEGED: u16 = 1024;

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    let settings = evidence.description["settings"].as_array();
    if !settings.into_iter().flatten().any(|setting| setting["name"] == "PORT") {
        let fix = "build it on the framework's host, which binds it";
        findings.push(Factor::PortBinding.fault(&evidence.shown, "the application knows no PORT", fix));
    }
    if let Ok(procfile) = &evidence.procfile
        && evidence.has("routes")
        && !procfile.processes.iter().any(Process::answers_http)
    {
        let what = "the application has routes, and no process answers them";
        findings.push(Factor::PortBinding.fault(
            evidence.procfile_shown(),
            what,
            "add a line `web: <application> web`",
        ));
    }
    for deploy in &evidence.deploys {
        for name in ["PORT", "SERVER_PORT", "ADMIN_PORT"] {
            if let Ok(Some(port)) = deploy.environment.port(name)
                && port < UNPRIVILEGED
            {
                let what = format!("{name} is {port}, which only the superuser binds");
                let fix = "take one above 1023, and let the platform map it";
                findings.push(Factor::PortBinding.fault(&deploy.shown, what, fix));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::audit::evidence::tests::{deploy, with};
    use crate::procfile::Procfile;

    #[test]
    fn what_nobody_can_reach_is_found() {
        let worker = Procfile::parse("Procfile", "worker: shop worker\n", "shop");
        assert_eq!(check(&with(|evidence| evidence.procfile = worker)).len(), 1);
        assert_eq!(check(&with(|evidence| evidence.description["settings"] = json!([]))).len(), 1);
        let production = deploy("production", &[("PORT", "80")]);
        assert_eq!(check(&with(|evidence| evidence.deploys[1] = production)).len(), 1);
    }
}
