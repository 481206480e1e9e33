//! Servers that `neuroglia dev --with` starts beside the application: private, on free ports of this machine, gone at the
//! end with all that they hold.
//!
//! A server is a child of the script by which the tests start it, which waits at the other end of a pipe: however this
//! process ends, the pipe closes, and the script stops the server and deletes its folder.
//!
//! The payment gateway is played by a package of the workspace, [`SANDBOX`], which is built like the application itself.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::environment::Environment;
use crate::project::Project;
use crate::secrets::Vault;
use crate::{Result, readiness};

/// How long a server may take until its port answers; RabbitMQ takes ten seconds on a quiet machine.
const START_MAX: Duration = Duration::from_secs(60);

/// How often its port is tried meanwhile.
const POLL: Duration = Duration::from_millis(20);

/// The package that plays the payment gateway.
const SANDBOX: &str = "payment-sandbox";

/// Where an application hears of its payments; the sandbox's own example.
const WEBHOOKS: &str = "/api/v1/payments/webhook";

/// What can be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Server {
    /// PostgreSQL keeps the orders
    Postgres,
    /// SecantusDB, which speaks MongoDB's protocol, keeps the orders
    Mongodb,
    /// Redis is the cache
    Redis,
    /// RabbitMQ carries events
    Rabbitmq,
    /// NATS JetStream carries events
    Nats,
    /// A mail server that keeps what it gets
    Smtp,
    /// The payment sandbox is the gateway for cards
    Payment,
}

/// A server of this kind on a port, as the application is told of it.
struct Kind {
    name: &'static str,
    /// The package of Debian and Ubuntu that brings it, or what fetches it.
    package: &'static str,
    script: &'static str,
    /// The variable that attaches it.
    variable: &'static str,
    /// The URL before the port, and after it.
    url: (&'static str, &'static str),
}

macro_rules! script {
    ($($part:literal),+) => {
        concat!($(include_str!(concat!("../../neuroglia-testing/src/services/", $part))),+)
    };
}

impl Server {
    fn kind(self) -> Kind {
        let kind = |name, package, script, variable, url| Kind { name, package, script, variable, url };
        match self {
            Self::Postgres => kind(
                "PostgreSQL",
                "postgresql",
                concat!("set -eu\n", script!("certify.sh", "postgres.sh", "watch.sh")),
                "DATABASE_URL",
                ("postgres://postgres@127.0.0.1:", "/postgres"),
            ),
            Self::Mongodb => kind(
                "SecantusDB",
                // Its script fetches it by pip, and so does the one of NATS.
                "python3-venv",
                script!("program.sh", "mongo.sh", "watch.sh"),
                "DATABASE_URL",
                ("mongodb://127.0.0.1:", "/application"),
            ),
            Self::Redis => kind(
                "Redis",
                "redis-server",
                script!("program.sh", "certify.sh", "redis.sh", "watch.sh"),
                "CACHE_URL",
                ("redis://127.0.0.1:", ""),
            ),
            Self::Rabbitmq => kind(
                "RabbitMQ",
                "rabbitmq-server",
                script!("program.sh", "rabbitmq.sh", "watch.sh"),
                "EVENT_BUS_URL",
                ("amqp://guest:guest@127.0.0.1:", ""),
            ),
            Self::Nats => kind(
                "NATS",
                "python3-venv",
                script!("program.sh", "nats.sh", "watch.sh"),
                "EVENT_BUS_URL",
                ("nats://127.0.0.1:", ""),
            ),
            Self::Smtp => kind(
                "aiosmtpd",
                "python3-aiosmtpd",
                concat!(
                    script!("program.sh", "certify.sh"),
                    "smtp_py() { cat <<'PYTHON'\n",
                    script!("smtp.py"),
                    "PYTHON\n}\n",
                    script!("smtp.sh", "watch.sh")
                ),
                "SMTP_URL",
                ("smtp://127.0.0.1:", ""),
            ),
            Self::Payment => kind(
                SANDBOX,
                // Cargo builds it.
                "cargo",
                concat!(
                    script!("program.sh"),
                    "find_server() { :; }\n",
                    "start() { begin env PORT=\"$port\" \"$more\" all; }\n",
                    script!("watch.sh")
                ),
                "PAYMENT_URL",
                ("http://127.0.0.1:", ""),
            ),
        }
    }

    /// The argument after the port: RabbitMQ has two more ports, and the sandbox is where cargo puts it.
    fn more(self) -> Result<Option<String>> {
        match self {
            Self::Rabbitmq => Ok(Some(format!("{},{}", free_port()?, free_port()?))),
            Self::Payment => {
                let sandbox = Project::locate(Some(SANDBOX))?.build()?;
                Ok(Some(sandbox.display().to_string()))
            }
            _ => Ok(None),
        }
    }
}

/// What a server may need of the application that it is attached to.
pub(crate) struct Application<'a> {
    /// Where it will answer.
    pub(crate) web: SocketAddr,
    /// Where its secrets are kept.
    pub(crate) vault: &'a Vault,
}

impl Application<'_> {
    /// What the sandbox shares with the application: by files, which both are told of.
    fn share_payments(&self, sandbox: &mut Command, environment: &mut Environment) -> Result<()> {
        let api_key = self.vault.signing_key("PAYMENT_API_KEY")?;
        let webhook_key = self.vault.webhook_key("PAYMENT_WEBHOOK_KEY")?;
        environment.set("PAYMENT_API_KEY_FILE", api_key.to_string_lossy());
        environment.set("PAYMENT_WEBHOOK_KEY_FILE", webhook_key.to_string_lossy());
        // One of each pair of names is enough.
        environment.remove("PAYMENT_API_KEY");
        environment.remove("PAYMENT_WEBHOOK_KEY");
        let web = readiness::reachable(self.web);
        Environment::default().apply(sandbox);
        sandbox.env("SERVER_HOST", "127.0.0.1");
        sandbox.env("DATABASE_URL", "memory:").env("WEBHOOK_URL", format!("http://{web}{WEBHOOKS}"));
        sandbox.env("API_KEY_FILE", api_key).env("WEBHOOK_KEY_FILE", webhook_key);
        Ok(())
    }
}

/// Servers that run until this is dropped.
pub(crate) struct Attached {
    running: Vec<Running>,
    rows: Vec<(String, String)>,
}

struct Running {
    watch: Child,
    open: Option<ChildStdin>,
}

impl Attached {
    /// Starts them one after another, and attaches each by its variable.
    ///
    /// # Errors
    /// When one does not start.
    pub(crate) fn start(
        servers: &[Server],
        application: &Application<'_>,
        environment: &mut Environment,
    ) -> Result<Self> {
        let mut attached = Self { running: Vec::new(), rows: Vec::new() };
        for server in servers {
            attached.add(*server, application, environment)?;
        }
        Ok(attached)
    }

    fn add(
        &mut self,
        server: Server,
        application: &Application<'_>,
        environment: &mut Environment,
    ) -> Result<()> {
        let kind = server.kind();
        let more = server.more()?;
        println!("starting {}", kind.name);
        let (port, folder) = (free_port()?, folder(kind.variable));
        let mut command = script(kind.script, "watch");
        if server == Server::Payment {
            application.share_payments(&mut command, environment)?;
        }
        let mut watch = command
            .arg(&folder)
            .arg(port.to_string())
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for the application; the script notices the end by itself.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("there is no shell: {error}"))?;
        let (open, answer) = (watch.stdin.take(), watch.stdout.take());
        self.running.push(Running { watch, open });
        let mut line = String::new();
        let read = answer.map(|answer| BufReader::new(answer).read_line(&mut line));
        if !matches!(read, Some(Ok(_))) || line.trim() != "done" {
            return Err(format!("{} did not start; it said why above", kind.name));
        }
        await_port(kind.name, port)?;
        let url = format!("{}{port}{}", kind.url.0, kind.url.1);
        self.rows.push((kind.variable.to_owned(), url.clone()));
        if server == Server::Smtp {
            self.rows.push(("Mail".to_owned(), folder.join("arrived").display().to_string()));
        }
        environment.set(kind.variable, url);
        Ok(())
    }

    /// What was attached, and where mail can be read, for the table.
    pub(crate) fn rows(&self) -> &[(String, String)] {
        &self.rows
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // All scripts see the end of their input before one of them is waited for.
        for server in &mut self.running {
            server.open = None;
        }
        for server in &mut self.running {
            drop(server.watch.wait());
        }
    }
}

/// Whether they can be attached together, and are all there.
///
/// # Errors
/// When two would be the same resource, or the workspace has no sandbox; all that are not installed, with the
/// packages that bring them.
pub(crate) fn check(servers: &[Server]) -> Result<()> {
    for (place, server) in servers.iter().enumerate() {
        let variable = server.kind().variable;
        if let Some(other) = servers[..place].iter().find(|other| other.kind().variable == variable) {
            let (one, two) = (other.kind().name, server.kind().name);
            return Err(format!("{one} and {two} would both be {variable}: name one of them"));
        }
    }
    if servers.contains(&Server::Payment) {
        Project::locate(Some(SANDBOX))?;
    }
    let missing: Vec<_> = servers.iter().copied().filter(|server| is_missing(*server, None)).collect();
    if missing.is_empty() { Ok(()) } else { Err(advice(&missing)) }
}

/// Whether a server's script does not find it, on this `PATH` or else on our own.
fn is_missing(server: Server, path: Option<&Path>) -> bool {
    let mut find = script(server.kind().script, "find");
    if let Some(path) = path {
        find.env("PATH", path);
    }
    !find.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

/// How these servers get onto a machine.
fn advice(missing: &[Server]) -> String {
    let names: Vec<_> = missing.iter().map(|server| server.kind().name).collect();
    let mut packages: Vec<_> = missing.iter().map(|server| server.kind().package).collect();
    packages.sort_unstable();
    packages.dedup();
    format!(
        "not installed: {}; on Debian and Ubuntu, `sudo apt-get install {}`, and elsewhere what does the same",
        names.join(", "),
        packages.join(" ")
    )
}

fn await_port(name: &str, port: u16) -> Result<()> {
    let (address, began) = (SocketAddr::from((Ipv4Addr::LOCALHOST, port)), Instant::now());
    while TcpStream::connect_timeout(&address, POLL).is_err() {
        if began.elapsed() > START_MAX {
            return Err(format!("{name} does not answer on port {port} within {START_MAX:?}"));
        }
        thread::park_timeout(POLL);
    }
    Ok(())
}

fn script(text: &str, order: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", text, "server.sh", order]);
    command
}

/// A folder that the server's own user can enter, which is not sure of the workspace.
fn folder(variable: &str) -> PathBuf {
    let name = variable.trim_end_matches("_URL").to_lowercase().replace('_', "-");
    Path::new(&std::env::temp_dir()).join(format!("neuroglia-dev-{name}-{}", std::process::id()))
}

fn free_port() -> Result<u16> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    bound.map(|address| address.port()).map_err(|error| format!("no port is free: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_installed_is_told_with_the_package_that_brings_it() {
        let nothing = tempfile::tempdir().expect("a temporary folder");
        let servers = [Server::Postgres, Server::Redis, Server::Rabbitmq];
        let missing: Vec<_> =
            servers.into_iter().filter(|server| is_missing(*server, Some(nothing.path()))).collect();
        assert_eq!(missing, servers);
        assert_eq!(
            advice(&missing),
            "not installed: PostgreSQL, Redis, RabbitMQ; on Debian and Ubuntu, `sudo apt-get install \
             postgresql rabbitmq-server redis-server`, and elsewhere what does the same"
        );
        assert!(advice(&[Server::Nats, Server::Mongodb]).contains("`sudo apt-get install python3-venv`"));
        // And one that is there is not missing; tests need it.
        assert!(!is_missing(Server::Redis, None));
    }
}
