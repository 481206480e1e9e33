//! XII: what is done once is done by the release itself.

use crate::audit::evidence::Evidence;
use crate::audit::finding::{Factor, Finding};
use crate::procfile::RELEASE;

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    let Ok(procfile) = &evidence.procfile else { return Vec::new() };
    let migrates = |process: &crate::procfile::Process| process.arguments == ["admin", "migrate"];
    if !evidence.has("migrations") || procfile.get(RELEASE).is_some_and(migrates) {
        return Vec::new();
    }
    let what = "there are migrations, and no release process brings the schema to them";
    vec![Factor::AdminProcesses.fault(
        evidence.procfile_shown(),
        what,
        "add a line `release: <application> admin migrate`",
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::evidence::tests::with;
    use crate::procfile::Procfile;

    #[test]
    fn migrations_that_nobody_runs_are_found() {
        let procfile = Procfile::parse("Procfile", "web: shop web\n", "shop");
        assert_eq!(check(&with(|evidence| evidence.procfile = procfile)).len(), 1);
    }
}
