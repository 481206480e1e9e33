//! `neuroglia dev`: from a fresh clone to a running application, in one command.
//!
//! The story is [`run`], read from top to bottom. What can be judged without building is judged
//! first, so that a taken port costs no minute of waiting.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use crate::accounts::Account;
use crate::application::{Application, api_base};
use crate::attached::{Attached, Server};
use crate::environment::Environment;
use crate::project::Project;
use crate::running::{Ended, Running};
use crate::secrets::Vault;
use crate::{Result, accounts, attached, database, port, readiness};

const PORT_DEFAULT: u16 = 8000;
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Handed to the application as the file twin `JWT_SECRET_KEY_FILE`, never by value.
const SIGNING_KEY: &str = "JWT_SECRET_KEY";

/// What `neuroglia dev` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The package of the workspace to run; otherwise the one around, or the only one with a Procfile
    #[arg(long)]
    package: Option<String>,
    /// Listen here, and serve metrics one above (otherwise what deployment/dev says, or 8000)
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=65_534))]
    port: Option<u16>,
    /// Delete the development database first
    #[arg(long)]
    fresh: bool,
    /// Start these servers beside it, private and empty, and attach them; they end with it
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SERVER,…")]
    with: Vec<Server>,
}

/// Runs the application until it is stopped.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let project = Project::locate(arguments.package.as_deref())?;
    let mut environment = Environment::gather(&project)?;
    for note in environment.notes() {
        println!("{note}");
    }
    let addresses = Addresses::choose(&mut environment, arguments.port)?;
    addresses.check_free()?;
    let accounts = accounts::read(&project)?;

    attached::check(&arguments.with)?;

    let executable = project.build()?;

    let vault = Vault::open(&project)?;
    let told = attached::Application { web: addresses.web, vault: &vault };
    let attached = Attached::start(&arguments.with, &told, &mut environment)?;
    if arguments.fresh {
        println!("{}", database::delete(environment.get("DATABASE_URL"), &project, vault.folder())?);
    }
    let description = Application::in_workspace(&project, executable.clone(), &environment).describe()?;
    let has = |list: &str, name: &str| {
        description[list].as_array().into_iter().flatten().any(|item| item["name"] == name)
    };
    let key_file = format!("{SIGNING_KEY}_FILE");
    let is_given = environment.get(SIGNING_KEY).is_some() || environment.get(&key_file).is_some();
    if has("settings", SIGNING_KEY) && !is_given {
        environment.set(&key_file, vault.signing_key(SIGNING_KEY)?.to_string_lossy());
    }
    let application = Application::in_workspace(&project, executable, &environment);

    if description["migrations"].as_array().is_some_and(|migrations| !migrations.is_empty()) {
        application.admin("migrating the database", &["migrate"], None)?;
    }
    if has("admin_commands", "seed") {
        application.admin("seeding it", &["seed"], None)?;
    }
    let mut logins = Vec::new();
    for account in accounts {
        let password = vault.password(&account.username)?;
        application.admin(
            &format!("account {}", account.username),
            &account.create_user_arguments(),
            Some(&password),
        )?;
        logins.push((account, password));
    }

    println!("starting {}\n", project.package);
    let mut running = Running::start(&mut application.command(&["all"]))?;
    if let Some(ended) = running.wait_until(READY_TIMEOUT, || readiness::is_ready(addresses.web))? {
        return Ok(report_end(&project.package, &ended));
    }
    let table = table(&project.package, &addresses, &api_base(&description), attached.rows(), &logins);
    println!("\n{table}");
    let ended = running.wait();
    drop(attached);
    Ok(report_end(&project.package, &ended))
}

/// Where the application listens, as this machine reaches it.
struct Addresses {
    web: SocketAddr,
    admin: Option<SocketAddr>,
}

impl Addresses {
    /// Settles the ports, and tells the application one port in one variable.
    fn choose(environment: &mut Environment, asked: Option<u16>) -> Result<Self> {
        let host = match environment.get("SERVER_HOST") {
            None | Some("localhost") => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Some(text) => text
                .parse()
                .map_err(|_| format!("SERVER_HOST is `{text}`: write an address such as 127.0.0.1"))?,
        };
        let port = match asked {
            Some(port) => port,
            None => match environment.port("PORT")? {
                Some(port) => port,
                None => environment.port("SERVER_PORT")?.unwrap_or(PORT_DEFAULT),
            },
        };
        environment.remove("SERVER_PORT");
        environment.set("PORT", port.to_string());

        let admin_port = match (environment.port("ADMIN_PORT")?, asked) {
            (Some(_), Some(port)) => {
                environment.set("ADMIN_PORT", (port + 1).to_string());
                Some(port + 1)
            }
            (configured, _) => configured,
        };
        let admin = admin_port.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Ok(Self { web: SocketAddr::from((host, port)), admin })
    }

    fn check_free(&self) -> Result<()> {
        port::check_free(self.web)?;
        self.admin.map_or(Ok(()), port::check_free)
    }
}

/// What a newcomer needs to know once the application runs.
fn table(
    package: &str,
    addresses: &Addresses,
    api_base: &str,
    attached: &[(String, String)],
    logins: &[(Account, String)],
) -> String {
    let web = format!("http://{}", readiness::reachable(addresses.web));
    let mut rows = vec![
        ("API".to_owned(), format!("{web}{api_base}")),
        ("Docs".to_owned(), format!("{web}/docs")),
        ("Health".to_owned(), format!("{web}/health")),
    ];
    if let Some(admin) = addresses.admin {
        rows.push(("Metrics".to_owned(), format!("http://{admin}/metrics")));
    }
    rows.extend(attached.iter().cloned());
    rows.push(("Stop".to_owned(), "Ctrl-C".to_owned()));
    if !logins.is_empty() {
        rows.push((String::new(), String::new()));
        rows.push(("Account".to_owned(), "Password".to_owned()));
    }
    rows.extend(logins.iter().map(|(account, password)| (account.username.clone(), password.clone())));

    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let mut lines = vec![format!("{package} is ready"), String::new()];
    lines.extend(rows.iter().map(|(name, value)| format!("  {name:width$}  {value}").trim_end().to_owned()));
    lines.push(String::new());
    lines.join("\n")
}

/// Says how the application ended, and passes its exit code on.
fn report_end(package: &str, ended: &Ended) -> ExitCode {
    let code = ended.status.code();
    match (ended.was_asked, code) {
        (true, Some(0)) => println!("{package} has stopped"),
        (true, _) => println!("{package} has stopped ({})", ended.status),
        (false, _) => {
            eprintln!("error: {package} ended by itself ({})", ended.status);
            if !ended.last_lines.is_empty() {
                eprintln!("its last lines were:\n  {}", ended.last_lines.join("\n  "));
            }
        }
    }
    match code.and_then(|code| u8::try_from(code).ok()) {
        Some(0) if !ended.was_asked => ExitCode::FAILURE,
        Some(code) => ExitCode::from(code),
        None => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let mut environment = Environment::default();
        for (name, value) in variables {
            environment.set(name, *value);
        }
        environment
    }

    #[test]
    fn one_variable_carries_the_port() {
        let mut environment = environment(&[("SERVER_PORT", "8080"), ("ADMIN_PORT", "8081")]);
        let addresses = Addresses::choose(&mut environment, None).expect("both are ports");
        assert_eq!(addresses.web.to_string(), "127.0.0.1:8080");
        assert_eq!(addresses.admin.map(|admin| admin.port()), Some(8081));
        assert_eq!(environment.get("PORT"), Some("8080"));
        assert_eq!(environment.get("SERVER_PORT"), None);
    }

    #[test]
    fn an_asked_port_takes_the_metrics_along() {
        let mut environment = environment(&[("PORT", "8000"), ("ADMIN_PORT", "8001")]);
        let addresses = Addresses::choose(&mut environment, Some(9000)).expect("9000 is a port");
        assert_eq!((addresses.web.port(), addresses.admin.map(|admin| admin.port())), (9000, Some(9001)));
        assert_eq!(environment.get("ADMIN_PORT"), Some("9001"));
    }

    #[test]
    fn a_port_that_is_none_is_told_with_its_variable() {
        let failure = Addresses::choose(&mut environment(&[("PORT", "http")]), None).err();
        assert!(failure.is_some_and(|failure| failure.contains("PORT") && failure.contains("http")));
    }

    #[test]
    fn the_table_names_every_door_and_every_account() {
        let addresses = Addresses {
            web: "0.0.0.0:8000".parse().expect("an address"),
            admin: Some("127.0.0.1:8001".parse().expect("an address")),
        };
        let account = Account {
            role: "chef".to_owned(),
            username: "chef@example.com".to_owned(),
            name: "Luigi".to_owned(),
        };
        assert_eq!(
            table(
                "marios-pizzeria",
                &addresses,
                "/api/v1",
                &[("CACHE_URL".to_owned(), "redis://127.0.0.1:1".to_owned())],
                &[(account, "abcd-efgh".to_owned())]
            ),
            "marios-pizzeria is ready\n\n\
             \x20 API               http://127.0.0.1:8000/api/v1\n\
             \x20 Docs              http://127.0.0.1:8000/docs\n\
             \x20 Health            http://127.0.0.1:8000/health\n\
             \x20 Metrics           http://127.0.0.1:8001/metrics\n\
             \x20 CACHE_URL         redis://127.0.0.1:1\n\
             \x20 Stop              Ctrl-C\n\
             \n\
             \x20 Account           Password\n\
             \x20 chef@example.com  abcd-efgh\n"
        );
    }
}
