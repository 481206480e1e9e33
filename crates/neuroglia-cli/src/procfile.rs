//! The `Procfile`: which processes an application is, by name and command line.
//!
//! A process is started without a shell, so a command line is words and nothing else. The first one is the
//! application's name, which stands for whichever executable the release has.

use std::path::Path;

use serde_json::Value;

use crate::Result;

/// The file's name, beside the application's manifest and in each release.
pub(crate) const FILE: &str = "Procfile";
/// The process that is run once before the others of a release start.
pub(crate) const RELEASE: &str = "release";

/// The processes of an application, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Procfile {
    pub(crate) processes: Vec<Process>,
}

/// One kind of process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) name: String,
    /// What follows the application's name.
    pub(crate) arguments: Vec<String>,
}

impl Process {
    /// Whether it answers HTTP on `PORT`.
    pub(crate) fn answers_http(&self) -> bool {
        self.arguments.first().is_some_and(|first| matches!(first.as_str(), "web" | "all"))
    }
}

impl Procfile {
    /// Reads the file of the application in its folder.
    ///
    /// # Errors
    /// When there is none, or all lines that are wrong.
    pub(crate) fn read(folder: &Path, application: &str) -> Result<Self> {
        let path = folder.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            format!(
                "cannot read {} ({error}): write lines such as `web: {application} web`, or see `neuroglia export procfile`",
                path.display()
            )
        })?;
        Self::parse(&path.display().to_string(), &text, application)
    }

    /// Reads the text of a Procfile.
    ///
    /// # Errors
    /// All lines that are wrong, each with its number.
    pub(crate) fn parse(shown: &str, text: &str, application: &str) -> Result<Self> {
        let mut processes: Vec<Process> = Vec::new();
        let mut faults = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match parse_line(line, application) {
                Ok(process) if processes.iter().any(|known| known.name == process.name) => {
                    faults.push(format!(
                        "{shown}:{}: {} stands here twice: remove one",
                        index + 1,
                        process.name
                    ));
                }
                Ok(process) => processes.push(process),
                Err(fault) => faults.push(format!("{shown}:{}: {fault}", index + 1)),
            }
        }
        if processes.is_empty() && faults.is_empty() {
            faults.push(format!(
                "{shown}: no process stands here: write a line such as `web: {application} web`"
            ));
        }
        if faults.is_empty() { Ok(Self { processes }) } else { Err(faults.join("\n")) }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Process> {
        self.processes.iter().find(|process| process.name == name)
    }

    /// Those that run for long: all but the one before them.
    pub(crate) fn long_running(&self) -> impl Iterator<Item = &Process> {
        self.processes.iter().filter(|process| process.name != RELEASE)
    }

    /// Sees that the application has what the command lines say.
    ///
    /// # Errors
    /// All that it does not have.
    pub(crate) fn fits(&self, description: &Value) -> Result<()> {
        let has = |list: &str, name: &str| {
            let list = description[list].as_array().map(Vec::as_slice).unwrap_or_default();
            list.iter().any(|item| item == name || item["name"] == name)
        };
        let misfit = |process: &Process| {
            let (first, second) = (process.arguments.first()?.as_str(), process.arguments.get(1));
            if !has("processes", first) {
                return Some(format!("{}: the application has no process `{first}`", process.name));
            }
            let command = second.filter(|_| first == "admin")?;
            let known = has("admin_commands", command);
            (!known).then(|| format!("{}: the application has no admin command `{command}`", process.name))
        };
        let misfits: Vec<String> = self.processes.iter().filter_map(misfit).collect();
        if misfits.is_empty() { Ok(()) } else { Err(format!("{FILE}: {}", misfits.join("; "))) }
    }

    /// The names, for a sentence.
    pub(crate) fn names(&self) -> String {
        let names: Vec<_> = self.processes.iter().map(|process| process.name.as_str()).collect();
        names.join(", ")
    }
}

fn parse_line(line: &str, application: &str) -> Result<Process> {
    let (name, command) = line.split_once(':').ok_or("write `name: command`")?;
    let name = name.trim();
    let is_name =
        |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-';
    if name.is_empty() || !name.chars().all(is_name) || name.starts_with('-') {
        return Err(format!("`{name}` is no name: use lower-case letters, digits and hyphens"));
    }
    if let Some(special) = command.chars().find(|character| "$`|&;<>(){}*?~\"'\\".contains(*character)) {
        return Err(format!("`{special}` means nothing here: a process is started without a shell"));
    }
    let mut words = command.split_whitespace();
    match words.next() {
        Some(first) if first == application => {}
        Some(first) => {
            return Err(format!(
                "the command begins with `{first}`: begin with the application, `{application}`"
            ));
        }
        None => return Err(format!("{name} has no command: write `{name}: {application} {name}`")),
    }
    let arguments: Vec<String> = words.map(str::to_owned).collect();
    if arguments.is_empty() {
        return Err(format!("{name} does not say which process: write `{name}: {application} {name}`"));
    }
    Ok(Process { name: name.to_owned(), arguments })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_read_in_order() {
        let text = "# kinds\nrelease: shop admin migrate\nweb: shop web\nmail: shop worker --queues mail:2\n";
        let procfile = Procfile::parse("Procfile", text, "shop").expect("it is right");
        assert_eq!(procfile.names(), "release, web, mail");
        let long: Vec<_> = procfile.long_running().map(|process| process.name.as_str()).collect();
        assert_eq!(long, ["web", "mail"]);
        let mail = procfile.get("mail").expect("it stands there");
        assert_eq!(mail.arguments, ["worker", "--queues", "mail:2"]);
        assert!(!mail.answers_http() && procfile.get("web").is_some_and(Process::answers_http));
    }

    #[test]
    fn what_the_application_does_not_have_is_told() {
        let description = serde_json::json!({
            "processes": ["web", "admin"], "admin_commands": [{"name": "migrate"}],
        });
        let fits =
            |text: &str| Procfile::parse("Procfile", text, "shop").and_then(|read| read.fits(&description));
        assert_eq!(fits("release: shop admin migrate\nweb: shop web\n"), Ok(()));
        let misfits = fits("a: shop wbe\nb: shop admin seed\n").expect_err("neither is there");
        assert!(misfits.contains("process `wbe`") && misfits.contains("command `seed`"), "{misfits}");
    }

    #[test]
    fn all_faults_are_told() {
        let text =
            "web\nWeb: shop web\na: shop web $PORT\nb: other web\nc:\nd: shop\ne: shop web\ne: shop web\n";
        let faults = Procfile::parse("Procfile", text, "shop").expect_err("seven lines are wrong");
        let lines: Vec<_> = faults.lines().filter_map(|line| line.split(": ").next()).collect();
        let expected: Vec<_> = [1, 2, 3, 4, 5, 6, 8].map(|line| format!("Procfile:{line}")).into();
        assert_eq!(lines, expected);
        assert!(
            Procfile::parse("Procfile", "# empty\n", "shop")
                .is_err_and(|fault| fault.contains("web: shop web"))
        );
    }
}
