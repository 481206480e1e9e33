//! A Procfile for an application that has none: the processes for which it has something to do.

use std::fmt::Write;

use serde_json::Value;

use crate::export::command::File;
use crate::procfile::{FILE, RELEASE};

/// The Procfile that an application's own description asks for.
pub(super) fn export(application: &str, description: &Value) -> File {
    let has = |list: &str| description[list].as_array().is_some_and(|list| !list.is_empty());
    let works_at = |schedules: bool| {
        let work = description["work"].as_array().into_iter().flatten();
        work.into_iter().any(|work| (work["kind"] == "schedule") == schedules)
    };
    let processes = [
        (has("migrations"), RELEASE, "admin migrate"),
        (has("routes"), "web", "web"),
        (works_at(false), "worker", "worker"),
        (works_at(true), "scheduler", "scheduler"),
    ];
    let mut text = "# The process types of the application, as a platform starts them.\n".to_owned();
    for (_, name, command) in processes.iter().filter(|(is_there, ..)| *is_there) {
        let _ = writeln!(text, "{name}: {application} {command}");
    }
    File { name: FILE.to_owned(), text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_application_gets_the_processes_that_it_has_work_for() {
        let lines = |description: Value| {
            let text = export("shop", &description).text;
            text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        let all = json!({
            "migrations": ["1"], "routes": [{}], "work": [{"kind": "consumer"}, {"kind": "schedule"}],
        });
        assert_eq!(
            lines(all),
            [
                "release: shop admin migrate",
                "web: shop web",
                "worker: shop worker",
                "scheduler: shop scheduler"
            ]
        );
        assert_eq!(lines(json!({"migrations": [], "routes": [{}], "work": []})), ["web: shop web"]);
    }
}
