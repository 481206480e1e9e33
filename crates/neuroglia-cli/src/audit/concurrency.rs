//! VIII: each kind of work has a kind of process, which can be multiplied.

use crate::audit::evidence::Evidence;
use crate::audit::finding::{Factor, Finding};
use crate::procfile::Procfile;

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    let at = evidence.procfile_shown();
    let fault = |what: String, fix: &str| Factor::Concurrency.fault(at.clone(), what, fix);
    let procfile = match &evidence.procfile {
        Ok(procfile) => procfile,
        Err(failure) => return vec![fault(failure.clone(), "`neuroglia export procfile` makes one")],
    };
    let mut findings = Vec::new();
    if let Err(misfits) = procfile.fits(&evidence.description) {
        findings.push(fault(misfits, "write what `describe` lists"));
    }
    let works_at = |is_kind: fn(&str) -> bool| {
        let work = evidence.description["work"].as_array().into_iter().flatten();
        work.into_iter().any(|work| work["kind"].as_str().is_some_and(is_kind))
    };
    if works_at(|kind| kind != "schedule") && !runs(procfile, "worker") {
        findings.push(fault(
            "there are consumers or jobs, and no process does them".to_owned(),
            "add a line `worker: <application> worker`",
        ));
    }
    if works_at(|kind| kind == "schedule") && !runs(procfile, "scheduler") {
        findings.push(fault(
            "there are schedules, and no process plans them".to_owned(),
            "add a line `scheduler: <application> scheduler`",
        ));
    }
    findings
}

fn runs(procfile: &Procfile, role: &str) -> bool {
    procfile
        .processes
        .iter()
        .any(|process| process.arguments.first().is_some_and(|first| first == role || first == "all"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::evidence::tests::with;

    #[test]
    fn work_that_no_process_does_is_found() {
        let found = |text: &str| {
            let procfile = Procfile::parse("Procfile", text, "shop");
            check(&with(|evidence| evidence.procfile = procfile)).len()
        };
        assert_eq!(found("web: shop web\n"), 2);
        assert_eq!(found("web: shop web\nworker: shop worker\n"), 1);
        assert_eq!(found("everything: shop all\n"), 0);
        assert_eq!(found("everything: shop all\nmail: shop mailer\n"), 1);
        assert_eq!(found(""), 1);
    }
}
