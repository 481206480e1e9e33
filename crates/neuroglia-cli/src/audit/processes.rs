//! VI: processes share nothing but what is attached.

use crate::audit::evidence::Evidence;
use crate::audit::finding::{Factor, Finding};

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    let on_one_disk = evidence.real_deploys().flat_map(|deploy| {
        let files = deploy.addresses().filter(|(_, address)| address.starts_with("sqlite:"));
        files.map(|(name, address)| {
            let what = format!("{name} is {address}, a file: only processes of one machine share it");
            Factor::Processes.note(
                &deploy.shown,
                what,
                "attach a server, unless one machine is all there will be",
            )
        })
    });
    on_one_disk.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::evidence::tests::{deploy, with};

    #[test]
    fn a_file_as_the_store_of_a_deploy_is_noted_and_of_development_is_not() {
        assert_eq!(check(&with(|_| {})), []);
        let production = deploy("production", &[("DATABASE_URL", "sqlite:///srv/shop.db")]);
        assert_eq!(check(&with(|evidence| evidence.deploys[1] = production)).len(), 1);
    }
}
