//! Rules over a single Rust file.
//!
//! Each rule is a function from a [`Source`] to the lines that break it, beside the sentence that
//! says what to do. The `tests` below plant a violation of each.

use crate::tidy::check::Finding;
use crate::tidy::source::{Source, mentions, position_of};

/// One invariant.
struct Rule {
    name: &'static str,
    remedy: &'static str,
    broken_at: fn(&Source) -> Vec<usize>,
}

const RULES: [Rule; 14] = [
    Rule {
        name: "environment",
        remedy: "only the host reads the environment: declare a setting with `#[derive(Settings)]`",
        broken_at: environment,
    },
    Rule {
        name: "stdout",
        remedy: "only telemetry and the printing processes write to stdout: emit a `tracing` event",
        broken_at: stdout,
    },
    Rule {
        name: "signals",
        remedy: "only `neuroglia::shutdown` handles signals: wait for its token",
        broken_at: signals,
    },
    Rule {
        name: "global-state",
        remedy: "no static with interior mutability: register a singleton, or pass the value",
        broken_at: global_state,
    },
    Rule {
        name: "features-of-core",
        remedy: "neuroglia-core has no features: what is optional belongs to another crate",
        broken_at: features_of_core,
    },
    Rule {
        name: "features-of-backing",
        remedy: "a feature of neuroglia-backing stands on a `mod` line of lib.rs or on an arm of `match scheme`",
        broken_at: features_of_backing,
    },
    Rule {
        name: "handler-imports",
        remedy: "the domain and the application know no driver and no HTTP: add a port and implement it in integration",
        broken_at: handler_imports,
    },
    Rule {
        name: "time",
        remedy: "time only from `Clock`: take one as a field or an argument",
        broken_at: time,
    },
    Rule {
        name: "ids",
        remedy: "ids only from `neuroglia::id`: take an id source as a field or an argument",
        broken_at: ids,
    },
    Rule {
        name: "module-doc",
        remedy: "a file begins with `//!`: say the idea of the module in its first line",
        broken_at: module_doc,
    },
    Rule {
        name: "mod-rs",
        remedy: "a mod.rs only introduces: move the code into a file whose name says what it is",
        broken_at: mod_rs,
    },
    Rule {
        name: "allow",
        remedy: "use `#[expect(lint, reason = \"…\")]`: it speaks up when it is no longer needed",
        broken_at: allow,
    },
    Rule {
        name: "ignored-test",
        remedy: "a test that does not run proves nothing: make it fast and steady, or delete it",
        broken_at: ignored_test,
    },
    Rule {
        name: "file-name",
        remedy: "name the file after what it holds: utils, common, helpers and misc hold anything",
        broken_at: file_name,
    },
];

/// Checks all rules on one file.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let findings_of = |rule: &Rule| -> Vec<Finding> {
        (rule.broken_at)(source)
            .into_iter()
            .map(|line| Finding {
                path: source.path.clone(),
                line,
                remedy: format!("{} ({})", rule.remedy, rule.name),
            })
            .collect()
    };
    RULES.iter().flat_map(findings_of).collect()
}

fn environment(source: &Source) -> Vec<usize> {
    // A test run is told by its environment which servers there are.
    let rooms = ["crates/neuroglia/src/host", "crates/neuroglia-testing/src/services"];
    if source.is_test() || source.is_command_line() || source.is_below(&rooms) {
        return Vec::new();
    }
    let readers = ["env::var", "env::vars", "env::var_os", "env::vars_os", "env::set_var", "option_env!"];
    lines_with(&source.shipped, &readers)
}

fn stdout(source: &Source) -> Vec<usize> {
    let rooms = [
        "crates/neuroglia/src/telemetry",
        "crates/neuroglia/src/argv",
        "crates/neuroglia/src/describe",
        "crates/neuroglia/src/process/admin",
        "crates/neuroglia/src/boot",
        "crates/neuroglia/src/host",
    ];
    if source.is_test() || source.is_command_line() || source.is_below(&rooms) {
        return Vec::new();
    }
    lines_with(&source.shipped, &["println!", "print!", "dbg!", "io::stdout", "stdout()"])
}

fn signals(source: &Source) -> Vec<usize> {
    if source.is_test() || source.is_command_line() || source.is_below(&["crates/neuroglia/src/shutdown"]) {
        return Vec::new();
    }
    lines_with(
        &source.shipped,
        &["signal::unix", "signal::ctrl_c", "ctrl_c()", "SignalKind", "signal_hook", "sigaction"],
    )
}

fn global_state(source: &Source) -> Vec<usize> {
    // Standard output belongs to the process, and so does what telemetry keeps to write to it; all tests of a
    // process share its servers.
    let rooms = ["crates/neuroglia/src/telemetry", "crates/neuroglia-testing/src/services"];
    if source.is_test() || source.is_below(&rooms) {
        return Vec::new();
    }
    const CELLS: [&str; 11] = [
        "Mutex",
        "RwLock",
        "Cell",
        "RefCell",
        "UnsafeCell",
        "OnceCell",
        "OnceLock",
        "LazyLock",
        "LazyCell",
        "Lazy",
        "DashMap",
    ];
    lines_where(&source.shipped, |line| {
        let Some(start) = position_of(line, "static") else {
            return false;
        };
        // `'static` is a lifetime; `static` opens an item.
        if line[..start].ends_with('\'') {
            return false;
        }
        let item = &line[start..];
        let Some((name, rest)) = item.split_once(':') else {
            return mentions(item, "static mut");
        };
        let kind = rest.split('=').next().unwrap_or(rest);
        mentions(name, "static mut")
            || kind.contains("Atomic")
            || CELLS.iter().any(|cell| mentions(kind, cell))
    })
}

fn features_of_core(source: &Source) -> Vec<usize> {
    if !source.path.starts_with("crates/neuroglia-core/") {
        return Vec::new();
    }
    lines_where(&source.code, is_conditional_on_feature)
}

fn features_of_backing(source: &Source) -> Vec<usize> {
    if !source.path.starts_with("crates/neuroglia-backing/src/") {
        return Vec::new();
    }
    let lines: Vec<&str> = source.shipped.lines().collect();
    let is_at_home = |index: usize| {
        let is_attribute = |line: &&&str| line.trim_start().starts_with("#[") || line.trim().is_empty();
        let Some(item) = lines[index + 1..].iter().find(|line| !is_attribute(line)) else {
            return false;
        };
        let item = item.trim_start();
        let opens = ["mod ", "pub mod ", "pub(crate) mod ", "pub use ", "pub(crate) use "];
        let is_module = source.path.ends_with("/lib.rs") && opens.iter().any(|open| item.starts_with(open));
        is_module || item.contains("=>")
    };
    let conditional = |index: &usize| is_conditional_on_feature(lines[*index]);
    (0..lines.len()).filter(conditional).filter(|&index| !is_at_home(index)).map(|index| index + 1).collect()
}

fn is_conditional_on_feature(line: &str) -> bool {
    ["cfg(", "cfg!(", "cfg_attr("]
        .iter()
        .any(|cfg| line.split_once(cfg).is_some_and(|(_, condition)| mentions(condition, "feature")))
}

fn handler_imports(source: &Source) -> Vec<usize> {
    let mut rooms = source.path.strip_prefix("samples/").unwrap_or_default().split('/').skip(1);
    if !rooms.next().is_some_and(|room| room == "application" || room == "domain") {
        return Vec::new();
    }
    const DRIVERS: [&str; 6] = ["axum", "hyper", "sqlx", "mongodb", "redis", "lapin"];
    lines_where(&source.code, |line| {
        DRIVERS.iter().any(|driver| {
            let path = format!("{driver}::");
            let import = format!("use {driver};");
            mentions(line, &path) || mentions(line, &import)
        })
    })
}

fn time(source: &Source) -> Vec<usize> {
    let rooms = ["crates/neuroglia-core/src/clock", "crates/neuroglia/src/telemetry"];
    if source.is_test() || source.is_below(&rooms) {
        return Vec::new();
    }
    lines_with(&source.shipped, &["Timestamp::now", "SystemTime::now", "Zoned::now", "Utc::now"])
}

fn ids(source: &Source) -> Vec<usize> {
    let rooms = ["crates/neuroglia-core/src/id", "crates/neuroglia/src/telemetry"];
    if source.is_test() || source.is_below(&rooms) {
        return Vec::new();
    }
    lines_with(&source.shipped, &["Uuid::new_v4", "Uuid::new_v7", "Uuid::now_v7", "Uuid::now_v1"])
}

fn module_doc(source: &Source) -> Vec<usize> {
    // A compile-fail case is what a user would have typed.
    if source.text.starts_with("//!") || source.path.contains("/tests/ui/") { Vec::new() } else { vec![1] }
}

fn mod_rs(source: &Source) -> Vec<usize> {
    if !source.path.ends_with("/mod.rs") {
        return Vec::new();
    }
    // The first line is enough: the remedy is the same for all that follow.
    let mut lines = lines_with(&source.shipped, &["fn", "impl", "macro_rules!"]);
    lines.truncate(1);
    lines
}

fn allow(source: &Source) -> Vec<usize> {
    lines_with(&source.code, &["#[allow", "#![allow"])
}

fn ignored_test(source: &Source) -> Vec<usize> {
    lines_with(&source.code, &["#[ignore"])
}

fn file_name(source: &Source) -> Vec<usize> {
    const VAGUE: [&str; 7] = ["util", "utils", "common", "helper", "helpers", "misc", "shared"];
    let is_vague = |part: &str| VAGUE.contains(&part.strip_suffix(".rs").unwrap_or(part));
    if source.path.split('/').any(is_vague) { vec![1] } else { Vec::new() }
}

/// The numbers of the lines that mention one of the words.
fn lines_with(code: &str, words: &[&str]) -> Vec<usize> {
    lines_where(code, |line| words.iter().any(|words| mentions(line, words)))
}

fn lines_where(code: &str, breaks: impl Fn(&str) -> bool) -> Vec<usize> {
    code.lines().enumerate().filter(|(_, line)| breaks(line)).map(|(index, _)| index + 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the rules that a file breaks, each with the line.
    fn broken(path: &str, text: &str) -> Vec<(&'static str, usize)> {
        let source = Source::new(path, text.to_owned());
        let lines = |rule: &'static Rule| (rule.broken_at)(&source).into_iter().map(|line| (rule.name, line));
        RULES.iter().flat_map(lines).collect()
    }

    #[test]
    fn every_rule_finds_its_planted_violation() {
        let planted = [
            ("environment", "crates/neuroglia/src/web/limits.rs", "let port = std::env::var(\"PORT\");"),
            ("stdout", "crates/neuroglia/src/web/trace.rs", "println!(\"served\");"),
            ("signals", "samples/marios-pizzeria/src/main.rs", "tokio::signal::ctrl_c().await;"),
            (
                "global-state",
                "crates/neuroglia/src/app.rs",
                "pub static APPS: Mutex<Vec<App>> = Mutex::new(Vec::new());",
            ),
            (
                "global-state",
                "crates/neuroglia/src/app.rs",
                "static COUNT: std::sync::atomic::AtomicU64 = AtomicU64::new(0);",
            ),
            ("global-state", "crates/neuroglia/src/app.rs", "static mut COUNT: u64 = 0;"),
            ("features-of-core", "crates/neuroglia-core/src/lib.rs", "#[cfg(feature = \"web\")]\nmod web;"),
            (
                "features-of-backing",
                "crates/neuroglia-backing/src/lib.rs",
                "#[cfg(feature = \"sqlite\")]\nfn open() {}",
            ),
            (
                "features-of-backing",
                "crates/neuroglia-backing/src/pool.rs",
                "#[cfg(feature = \"sqlite\")]\nmod sqlite;",
            ),
            ("handler-imports", "samples/marios-pizzeria/application/src/place_order.rs", "use sqlx::Row;"),
            ("handler-imports", "samples/marios-pizzeria/domain/src/order.rs", "fn f(_: axum::Json<()>) {}"),
            ("time", "samples/marios-pizzeria/domain/src/order.rs", "let at = Timestamp::now();"),
            ("ids", "samples/marios-pizzeria/domain/src/order.rs", "let id = uuid::Uuid::now_v7();"),
            ("module-doc", "crates/neuroglia/src/app.rs", "PLAIN"),
            ("mod-rs", "crates/neuroglia/src/web/mod.rs", "pub fn serve() {}"),
            ("allow", "crates/neuroglia/src/app.rs", "#[allow(dead_code)]"),
            ("ignored-test", "crates/neuroglia/tests/it/web.rs", "#[ignore = \"slow\"]"),
            ("file-name", "crates/neuroglia/src/web/utils.rs", ""),
            ("file-name", "crates/neuroglia/src/common/text.rs", ""),
        ];
        for (rule, path, text) in planted {
            let (text, line) = match (rule, text) {
                ("module-doc", _) => ("use std::fmt;\n".to_owned(), 1),
                ("file-name", _) => ("//! Doc.\n".to_owned(), 1),
                (_, text) => (format!("//! Doc.\n{text}\n"), 2),
            };
            assert_eq!(broken(path, &text), [(rule, line)], "{path}: {text}");
        }
        for rule in &RULES {
            assert!(
                planted.iter().any(|(name, ..)| *name == rule.name),
                "{} has no planted violation",
                rule.name
            );
        }
    }

    #[test]
    fn what_is_at_home_or_only_spoken_of_is_left_alone() {
        let sound = [
            ("crates/neuroglia/src/host/environment.rs", "let port = std::env::var_os(\"PORT\");"),
            ("crates/neuroglia/src/telemetry/writer.rs", "let out = std::io::stdout();"),
            ("crates/neuroglia/src/shutdown.rs", "use tokio::signal::unix::SignalKind;"),
            ("crates/neuroglia/src/app.rs", "let name: &'static str = \"static X: Mutex<u8>\"; // println!"),
            ("crates/neuroglia/src/app.rs", "static NAMES: [&str; 2] = [\"a\", \"b\"];"),
            ("crates/neuroglia-backing/src/lib.rs", "#[cfg(feature = \"sqlite\")]\npub mod sqlite;"),
            (
                "crates/neuroglia-backing/src/open.rs",
                "match scheme {\n#[cfg(feature = \"sqlite\")]\n\"sqlite\" => open(),\n}",
            ),
            ("crates/neuroglia-core/src/clock.rs", "jiff::Timestamp::now()"),
            ("crates/neuroglia-core/src/id.rs", "Uuid::now_v7()"),
            ("crates/neuroglia/src/web/mod.rs", "mod serve;\npub use serve::Server;"),
            (
                "crates/neuroglia/src/app.rs",
                "#[cfg(test)]\nmod tests {\n    fn now() { Timestamp::now(); println!(); }\n}",
            ),
            ("crates/neuroglia-testing/src/services/a.rs", "static SERVER: OnceLock<u8> = OnceLock::new();"),
            ("crates/neuroglia-testing/src/services/a.rs", "let server = std::env::var(VARIABLE);"),
            ("crates/neuroglia/tests/it/boot.rs", "static RUNS: AtomicU64 = AtomicU64::new(0);"),
            ("xtask/src/main.rs", "println!(\"{:?}\", std::env::var(\"CARGO\"));"),
            ("samples/marios-pizzeria/build.rs", "println!(\"{:?}\", std::env::var(\"TARGET\"));"),
        ];
        for (path, text) in sound {
            assert_eq!(broken(path, &format!("//! Doc.\n{text}\n")), [], "{path}: {text}");
        }
    }

    #[test]
    fn a_finding_says_where_and_what_to_do() {
        let source = Source::new("src/app.rs", "//! Doc.\n\n#[allow(unused)]\n".to_owned());
        let findings = check(&source);
        assert_eq!((findings[0].path.as_str(), findings[0].line), ("src/app.rs", 3));
        assert!(findings[0].remedy.contains("#[expect"), "{}", findings[0].remedy);
    }
}
