//! What the sample costs before it does anything: its size, its start, its idleness.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::bench::process;
use crate::bench::report::{Figures, What, median};
use crate::bench::server::{Server, free_port, pause};
use crate::workspace::{Result, Workspace, empty, read};

const EXECUTABLE: &str = "marios-pizzeria";

/// How often it is started; the median counts.
const STARTS: usize = 9;

/// How long it has been ready when its memory is looked at.
const IDLE: Duration = Duration::from_secs(2);

/// What is compiled into it, and which figures it gives.
struct Form {
    title: &'static str,
    features: &'static [&'static str],
    size: What,
    memory: What,
    ready: Option<What>,
}

const FORMS: [Form; 2] = [
    Form {
        title: "with the embedded default alone",
        features: &["--no-default-features", "--features", "sqlite"],
        size: What::Size,
        memory: What::Memory,
        ready: Some(What::Ready),
    },
    Form {
        title: "with all drivers",
        features: &[],
        size: What::SizeOfAll,
        memory: What::MemoryOfAll,
        ready: None,
    },
];

/// Measures the release executable in both forms, each on a database of its own.
///
/// # Errors
/// When it cannot be built, migrated, or started.
pub(super) fn measure(workspace: &Workspace, figures: &mut Figures) -> Result<()> {
    FORMS.iter().try_for_each(|form| measure_form(workspace, figures, form))
}

fn measure_form(workspace: &Workspace, figures: &mut Figures, form: &Form) -> Result<()> {
    let all = [&["--release", "--package", EXECUTABLE, "--bins"], form.features].concat();
    let mut built = workspace.build(&all)?;
    let executable =
        built.remove(EXECUTABLE).ok_or_else(|| format!("there is no executable `{EXECUTABLE}`"))?;
    let size = fs::metadata(&executable).map_err(|error| format!("cannot read its size: {error}"))?.len();
    figures.record(form.size, megabytes(size));

    let title =
        format!("`{EXECUTABLE} web` {}, started {STARTS} times on a migrated SQLite database", form.title);
    println!("\n{title}");
    let mut table = vec![
        "| start | CPU until ready, ms | resident when idle, MB | proportional share, MB |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    println!("{}\n{}", table[0], table[1]);
    let instance = Instance::in_folder(executable, &workspace.target.join("bench/sample"))?;
    let (mut used, mut resident) = (Vec::new(), Vec::new());
    for start in 1..=STARTS {
        let server = instance.serve("web")?;
        let ready = server.cpu_time()?;
        pause(IDLE);
        let memory = process::memory(server.pid())?;
        server.stop()?;
        used.push(ready.as_secs_f64() * 1e3);
        resident.push(megabytes(memory.resident_bytes));
        let row = format!(
            "| {start} | {:.2} | {:.2} | {:.2} |",
            ready.as_secs_f64() * 1e3,
            megabytes(memory.resident_bytes),
            megabytes(memory.proportional_bytes),
        );
        println!("{row}");
        table.push(row);
    }
    if let Some(what) = form.ready {
        figures.record(what, median(&used).ok_or("there was no start")?);
    }
    figures.record(form.memory, median(&resident).ok_or("there was no start")?);
    figures.detail(title, table.join("\n"));
    Ok(())
}

/// The sample with a database and a secret of its own.
pub(super) struct Instance {
    executable: PathBuf,
    database_url: String,
    secret: String,
}

impl Instance {
    /// A new database in an empty folder, at the schema that the executable expects.
    fn in_folder(executable: PathBuf, folder: &Path) -> Result<Self> {
        empty(folder)?;
        Self::migrated(executable, format!("sqlite://{}", folder.join("sample.db").display()))
    }

    /// An empty database, brought to the schema that the executable expects.
    ///
    /// # Errors
    /// What the executable says about it.
    pub(super) fn migrated(executable: PathBuf, database_url: String) -> Result<Self> {
        let instance = Self { executable, database_url, secret: secret()? };
        read(instance.command(free_port()?).args(["admin", "migrate"]))?;
        Ok(instance)
    }

    /// The same, which reaches its database in another way.
    pub(super) fn on(&self, database_url: String) -> Self {
        Self { executable: self.executable.clone(), database_url, secret: self.secret.clone() }
    }

    pub(super) fn database_url(&self) -> &str {
        &self.database_url
    }

    /// Starts a process that answers HTTP, and waits until it is ready.
    ///
    /// # Errors
    /// Those of [`Server::start`].
    pub(super) fn serve(&self, role: &str) -> Result<Server> {
        let port = free_port()?;
        let mut command = self.command(port);
        command.arg(role);
        Server::start(command, port, "/health/ready")
    }

    /// Starts a process that answers operators only, and waits until it is ready.
    ///
    /// # Errors
    /// Those of [`Server::start`].
    pub(super) fn operate(&self, role: &str) -> Result<Server> {
        let port = free_port()?;
        let mut command = self.command(free_port()?);
        command.arg(role).env("ADMIN_PORT", port.to_string());
        Server::start(command, port, "/health/ready")
    }

    /// The executable with nothing but what it has to be told.
    pub(super) fn command(&self, port: u16) -> Command {
        let mut command = Command::new(&self.executable);
        command
            .env_clear()
            .env("DATABASE_URL", &self.database_url)
            .env("JWT_SECRET_KEY", &self.secret)
            .env("SERVER_HOST", "127.0.0.1")
            .env("PORT", port.to_string())
            .env("LOG_LEVEL", "warn");
        command
    }
}

/// 32 bytes that nobody can guess, as the sample demands them.
fn secret() -> Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|error| format!("no random bytes: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// In units of 1,000,000 bytes, of which there are more than of those of 2^20.
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
