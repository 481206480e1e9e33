//! IV: what is attached is named by its address, and can be another one tomorrow.

use crate::audit::evidence::Evidence;
use crate::audit::finding::{Factor, Finding};

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    for deploy in evidence.real_deploys() {
        for (name, address) in deploy.addresses() {
            if deploy.environment.get(name).is_none() {
                continue;
            }
            if is_of_this_machine(address) {
                let what = format!("{name} is {address}: each machine of the deploy would have its own");
                findings.push(Factor::BackingServices.fault(
                    &deploy.shown,
                    what,
                    "name the host that all of them reach",
                ));
            }
            if address.starts_with("memory:") {
                let what =
                    format!("{name} is {address}: it is lost with the process, and shared with no other");
                findings.push(Factor::BackingServices.fault(
                    &deploy.shown,
                    what,
                    "attach a resource that outlives processes",
                ));
            }
        }
    }
    findings
}

fn is_of_this_machine(address: &str) -> bool {
    let Some((_, rest)) = address.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|local| host.strip_prefix(local).is_some_and(|port| port.is_empty() || port.starts_with(':')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::evidence::tests::{deploy, with};

    #[test]
    fn addresses_that_only_one_machine_or_process_has_are_found() {
        let found = |address: &str| {
            let production = deploy("production", &[("DATABASE_URL", address)]);
            check(&with(|evidence| evidence.deploys[1] = production)).len()
        };
        for address in
            ["postgres://localhost/shop", "redis://127.0.0.1:6379", "amqp://u@[::1]:5672/x", "memory:"]
        {
            assert_eq!(found(address), 1, "{address}");
        }
        for address in
            ["postgres://database.internal/shop", "http://localhost.example", "sqlite:///srv/shop.db"]
        {
            assert_eq!(found(address), 0, "{address}");
        }
    }
}
