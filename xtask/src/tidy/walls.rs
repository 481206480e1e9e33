//! Rules over the dependency graph: what a crate must never reach, however far away.
//!
//! Most walls are compile errors already, because a crate cannot name what it does not depend on.
//! These rules keep somebody from adding the dependency.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::tidy::check::Finding;

/// What each crate depends on in production, by name: no dev- and no build-dependencies.
pub(super) type Graph = BTreeMap<String, Vec<String>>;

struct Wall {
    of: &'static str,
    manifest: &'static str,
    never: &'static [&'static str],
}

const WALLS: [Wall; 10] = [
    Wall {
        of: "pizzeria-domain",
        manifest: "samples/marios-pizzeria/domain/Cargo.toml",
        never: &["axum", "hyper", "reqwest", "sqlx", "neuroglia", "neuroglia-backing"],
    },
    Wall {
        of: "pizzeria-application",
        manifest: "samples/marios-pizzeria/application/Cargo.toml",
        never: &["axum", "hyper", "reqwest", "sqlx", "neuroglia", "neuroglia-backing"],
    },
    Wall {
        of: "pizzeria-integration",
        manifest: "samples/marios-pizzeria/integration/Cargo.toml",
        never: &["axum", "neuroglia", "pizzeria-api"],
    },
    Wall {
        of: "pizzeria-api",
        manifest: "samples/marios-pizzeria/api/Cargo.toml",
        never: &["sqlx", "neuroglia-backing", "pizzeria-integration"],
    },
    Wall {
        of: "neuroglia-core",
        manifest: "crates/neuroglia-core/Cargo.toml",
        never: &["axum", "hyper", "reqwest", "sqlx", "tower-http"],
    },
    Wall {
        of: "neuroglia",
        manifest: "crates/neuroglia/Cargo.toml",
        never: &["neuroglia-backing", "neuroglia-testing", "reqwest", "sqlx"],
    },
    Wall {
        of: "neuroglia-backing",
        manifest: "crates/neuroglia-backing/Cargo.toml",
        never: &["neuroglia", "neuroglia-testing", "axum"],
    },
    Wall {
        of: "marios-pizzeria",
        manifest: "samples/marios-pizzeria/Cargo.toml",
        never: &["neuroglia-testing", "neuroglia-cli"],
    },
    Wall {
        of: "payment-sandbox",
        manifest: "samples/payment-sandbox/Cargo.toml",
        never: &["neuroglia-testing", "marios-pizzeria"],
    },
    Wall {
        of: "menu-board",
        manifest: "samples/menu-board/Cargo.toml",
        never: &["neuroglia-testing", "marios-pizzeria"],
    },
];

/// One cryptography stack (ring), and no registration at link time.
const NEVER_LOCKED: [(&str, &str); 8] = [
    ("aws-lc-rs", "the cryptography stack is ring"),
    ("aws-lc-sys", "the cryptography stack is ring"),
    ("native-tls", "the cryptography stack is ring"),
    ("openssl", "the cryptography stack is ring"),
    ("openssl-sys", "the cryptography stack is ring"),
    ("ctor", "registration is explicit"),
    ("inventory", "registration is explicit"),
    ("linkme", "registration is explicit"),
];

/// The production graph in what `cargo metadata` prints.
pub(super) fn graph(metadata: &Value) -> Graph {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let names: BTreeMap<String, String> = list(&metadata["packages"])
        .iter()
        .filter_map(|package| {
            Some((package["id"].as_str()?.to_owned(), package["name"].as_str()?.to_owned()))
        })
        .collect();
    let mut graph = Graph::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let Some(name) = node["id"].as_str().and_then(|id| names.get(id)) else {
            continue;
        };
        let is_production =
            |dependency: &Value| list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
        let dependencies = list(&node["deps"]);
        let dependencies = dependencies
            .iter()
            .filter(|dependency| is_production(dependency))
            .filter_map(|dependency| names.get(dependency["pkg"].as_str()?).cloned());
        // Two versions of a crate are one name here: a wall forbids both.
        graph.entry(name.clone()).or_default().extend(dependencies);
    }
    graph
}

/// Checks the walls.
pub(super) fn check_graph(graph: &Graph) -> Vec<Finding> {
    let mut findings = Vec::new();
    for wall in &WALLS {
        let mut report = |remedy: String| {
            findings.push(Finding { path: wall.manifest.to_owned(), line: 1, remedy });
        };
        if !graph.contains_key(wall.of) {
            report(format!(
                "there is no crate {}: move the wall in xtask/src/tidy/walls.rs with it",
                wall.of
            ));
            continue;
        }
        for never in wall.never {
            if let Some(way) = way(graph, wall.of, never) {
                report(format!("{} must not reach {never}: cut {}", wall.of, way.join(" → ")));
            }
        }
    }
    findings
}

/// The shortest way from one crate to another.
fn way(graph: &Graph, from: &str, to: &str) -> Option<Vec<String>> {
    let mut ways = VecDeque::from([vec![from.to_owned()]]);
    let mut seen = std::collections::BTreeSet::from([from.to_owned()]);
    while let Some(way) = ways.pop_front() {
        for next in way.last().and_then(|last| graph.get(last)).into_iter().flatten() {
            let mut longer = way.clone();
            longer.push(next.clone());
            if next == to {
                return Some(longer);
            }
            if seen.insert(next.clone()) {
                ways.push_back(longer);
            }
        }
    }
    None
}

/// Checks that no forbidden crate is locked.
pub(super) fn check_lock_file(text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some(name) = line.strip_prefix("name = \"").and_then(|rest| rest.strip_suffix('"')) else {
            continue;
        };
        if let Some((_, reason)) = NEVER_LOCKED.iter().find(|(never, _)| *never == name) {
            let remedy = format!(
                "{name} must not be in the graph ({reason}): `cargo tree --workspace --invert {name}` shows who brings it"
            );
            findings.push(Finding { path: "Cargo.lock".to_owned(), line: index + 1, remedy });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A graph in which every wall stands.
    fn sound() -> Graph {
        let edge =
            |(from, to): (&str, &[&str])| (from.to_owned(), to.iter().map(ToString::to_string).collect());
        let edges: [(&str, &[&str]); 11] = [
            ("neuroglia-core", &["serde"]),
            ("neuroglia", &["neuroglia-core", "axum"]),
            ("neuroglia-backing", &["neuroglia-core", "sqlx"]),
            ("pizzeria-domain", &["neuroglia-core"]),
            ("pizzeria-application", &["pizzeria-domain"]),
            ("pizzeria-integration", &["pizzeria-application", "neuroglia-backing"]),
            ("pizzeria-api", &["pizzeria-application", "neuroglia"]),
            ("marios-pizzeria", &["pizzeria-api", "pizzeria-integration"]),
            ("payment-sandbox", &["neuroglia", "neuroglia-backing"]),
            ("menu-board", &["neuroglia", "neuroglia-backing"]),
            ("axum", &["hyper"]),
        ];
        edges.into_iter().map(edge).collect()
    }

    #[test]
    fn a_sound_graph_has_no_findings() {
        assert_eq!(check_graph(&sound()), []);
    }

    #[test]
    fn a_far_violation_is_told_with_its_way() {
        let mut graph = sound();
        graph.insert("serde".to_owned(), vec!["tower".to_owned()]);
        graph.insert("tower".to_owned(), vec!["hyper".to_owned()]);
        let found = check_graph(&graph);
        let core =
            found.iter().find(|finding| finding.path.contains("neuroglia-core")).expect("it is planted");
        assert_eq!(
            core.remedy,
            "neuroglia-core must not reach hyper: cut neuroglia-core → serde → tower → hyper"
        );
    }

    #[test]
    fn every_wall_falls_when_its_crate_reaches_what_it_must_not() {
        for wall in &WALLS {
            for never in wall.never {
                let mut graph = sound();
                graph.entry(wall.of.to_owned()).or_default().push((*never).to_owned());
                let told = format!("{} must not reach {never}", wall.of);
                assert!(
                    check_graph(&graph).iter().any(|finding| finding.remedy.starts_with(&told)),
                    "{told} was not found"
                );
            }
        }
    }

    #[test]
    fn a_crate_that_is_gone_takes_its_wall_along() {
        let mut graph = sound();
        graph.remove("pizzeria-domain");
        assert!(
            check_graph(&graph).iter().any(|finding| finding.remedy.contains("no crate pizzeria-domain"))
        );
    }

    #[test]
    fn development_dependencies_are_no_part_of_the_graph() {
        let metadata = json!({
            "packages": [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}, {"id": "3", "name": "c"}],
            "resolve": {"nodes": [{"id": "1", "deps": [
                {"pkg": "2", "dep_kinds": [{"kind": "dev"}]},
                {"pkg": "3", "dep_kinds": [{"kind": "dev"}, {"kind": null}]},
            ]}]},
        });
        assert_eq!(graph(&metadata), Graph::from([("a".to_owned(), vec!["c".to_owned()])]));
    }

    #[test]
    fn a_second_cryptography_stack_is_found_in_the_lock_file() {
        let found = check_lock_file("[[package]]\nname = \"ring\"\n\n[[package]]\nname = \"openssl-sys\"\n");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 5);
        assert!(found[0].remedy.contains("ring"), "{}", found[0].remedy);
    }
}
