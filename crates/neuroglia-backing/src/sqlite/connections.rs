//! One connection that writes, several that read, each opened when it is first needed; see `writer.rs` for the one.
//!
//! The driver's own pool is not used: it asks a connection whether it is alive before it takes it back, which
//! costs more than loading a document, and a file does not go away.

use std::fs;
use std::io::ErrorKind as Io;
use std::ops::AsyncFnOnce;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use neuroglia::error::{Error, ErrorKind, Result};
use neuroglia::health::Details;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{sleep, timeout};

use super::error::{BUSY, CORRUPT, NOT_A_DATABASE, code, error, is_of_statement};
use super::options::SqliteOptions;
use super::writer::Writer;

pub(super) struct Connections {
    path: PathBuf,
    settings: SqliteOptions,
    reading: SqliteConnectOptions,
    permits: Semaphore,
    idle: Mutex<Vec<SqliteConnection>>,
    writer: Arc<Writer>,
}

impl Connections {
    /// Opens the connection that writes, so that what is wrong with the file shows now.
    pub(super) async fn open(path: &Path, settings: &SqliteOptions) -> Result<Self> {
        // Absolute, because readers open later and the working directory may have changed by then.
        let path = std::path::absolute(path).map_err(Error::internal)?;
        create(&path)?;
        let common = SqliteConnectOptions::new()
            .filename(&path)
            .busy_timeout(settings.busy_timeout)
            // A page of documents goes over in one go.
            .row_buffer_size(128)
            .disable_statement_logging();
        let writing = common.clone().synchronous(SqliteSynchronous::Full).foreign_keys(true);
        let first = connect(&writing, settings.busy_timeout).await.map_err(|cause| refusal(&path, cause))?;
        Ok(Self {
            reading: common.read_only(true),
            permits: Semaphore::new(settings.readers_max.max(1) as usize),
            idle: Mutex::default(),
            writer: Writer::new(first, writing, settings.clone()),
            settings: settings.clone(),
            path,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A connection to read with.
    pub(super) async fn reader(&self) -> Result<Reader<'_>> {
        let permit = match self.permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => match timeout(self.settings.acquire_timeout, self.permits.acquire()).await {
                Ok(Ok(permit)) => permit,
                Ok(Err(_closed)) => return Err(closed()),
                Err(_elapsed) => return Err(exhausted("reads")),
            },
        };
        let mut reader = Reader { connections: self, connection: None, _permit: permit };
        let idle = self.idle().pop();
        reader.connection = Some(match idle {
            Some(connection) => connection,
            None => self.reading.connect().await.map_err(error)?,
        });
        Ok(reader)
    }

    /// The connection that writes.
    pub(super) fn writer(&self) -> &Arc<Writer> {
        &self.writer
    }

    /// Whether the file can be read; the version of the library.
    pub(super) async fn ping(&self) -> Result<Details> {
        let ask = async {
            let mut reader = self.reader().await?;
            // The version alone would not touch the file.
            let query =
                sqlx::query_scalar("SELECT sqlite_version() WHERE (SELECT count(*) FROM sqlite_schema) >= 0");
            reader.run(async |connection| query.fetch_one(connection).await).await
        };
        match timeout(self.settings.ping_timeout, ask).await {
            Ok(version) => version.map(|version: String| Details::of_version(version)),
            Err(elapsed) => Err(Error::unavailable(elapsed)),
        }
    }

    /// Waits for who is at work, then moves the log into the file and closes everything.
    pub(super) async fn close(&self) {
        if !self.writer.refuse() {
            return;
        }
        let everybody = self.permits.acquire_many(self.settings.readers_max.max(1));
        let waited = timeout(self.settings.acquire_timeout, everybody).await;
        self.permits.close();
        drop(waited);
        let idle = std::mem::take(&mut *self.idle());
        for reader in idle {
            note(reader.close().await);
        }
        // The writer goes last, because only a connection that may write can empty the log.
        self.writer.close().await;
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<SqliteConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn note(outcome: sqlx::Result<()>) {
    if let Err(cause) = outcome {
        tracing::warn!(error = %cause, "the store was not closed in order; the next start repairs it");
    }
}

/// A connection that reads, given back when it is dropped.
pub(super) struct Reader<'a> {
    connections: &'a Connections,
    connection: Option<SqliteConnection>,
    _permit: SemaphorePermit<'a>,
}

impl Reader<'_> {
    /// Runs one statement. It may be cancelled: the driver's thread then ends the statement by itself.
    pub(super) async fn run<T>(
        &mut self,
        statement: impl AsyncFnOnce(&mut SqliteConnection) -> sqlx::Result<T>,
    ) -> Result<T> {
        let Some(connection) = &mut self.connection else { return Err(closed()) };
        statement(connection).await.map_err(|cause| {
            if !is_of_statement(&cause) {
                self.connection = None;
            }
            error(cause)
        })
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && !self.connections.permits.is_closed()
        {
            self.connections.idle().push(connection);
        }
    }
}

/// Creates the file for its owner only; leaves one that is there alone.
fn create(path: &Path) -> Result<()> {
    // Opening an existing file here would be a trap: closing it again would drop the locks that another
    // connection of this process holds on it.
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let Err(cause) = options.open(path) else { return Ok(()) };
    let (file, directory) = (path.display(), path.parent().unwrap_or(path).display());
    let detail = match cause.kind() {
        Io::AlreadyExists if path.is_dir() => format!("{file} is a directory, not a database"),
        Io::AlreadyExists => return Ok(()),
        Io::NotFound if !path.parent().is_some_and(Path::exists) => {
            format!("the directory {directory} of the database does not exist; create it")
        }
        Io::NotADirectory => format!("{directory} is no directory, so the database cannot be in it"),
        Io::PermissionDenied | Io::ReadOnlyFilesystem => {
            format!("the database {file} cannot be created; this user may not write to {directory}")
        }
        _ => format!("the database {file} cannot be created: {cause}"),
    };
    Err(Error::new(ErrorKind::Unavailable, "store.open", detail).with_source(cause))
}

/// Opens a connection that writes, with a write-ahead log.
pub(super) async fn connect(
    options: &SqliteConnectOptions,
    patience: Duration,
) -> sqlx::Result<SqliteConnection> {
    let attempt = async || {
        let mut connection = options.connect().await?;
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode = WAL").fetch_one(&mut connection).await?;
        if mode == "wal" {
            return Ok(connection);
        }
        Err(sqlx::Error::Configuration("the file system cannot hold a write-ahead log".into()))
    };
    // SQLite waits for other locks by itself, but not for the one that the change to a write-ahead log needs;
    // two processes that begin with a new file meet there.
    let mut waited = Duration::ZERO;
    loop {
        match attempt().await {
            Err(cause) if code(&cause) == Some(BUSY) && waited < patience => {
                let pause = Duration::from_millis(5);
                sleep(pause).await;
                waited += pause;
            }
            outcome => return outcome,
        }
    }
}

/// Why the file could not be opened, for who set its path.
fn refusal(path: &Path, cause: sqlx::Error) -> Error {
    let file = path.display();
    let (kind, detail) = match code(&cause) {
        Some(NOT_A_DATABASE) => (ErrorKind::Internal, format!("{file} is not a SQLite database")),
        Some(CORRUPT) => {
            (ErrorKind::Internal, format!("{file} is a damaged SQLite database; restore a backup"))
        }
        Some(BUSY) => (ErrorKind::Unavailable, format!("{file} is locked by another process")),
        _ => (ErrorKind::Unavailable, format!("the database {file} cannot be opened for writing: {cause}")),
    };
    Error::new(kind, "store.open", detail).with_source(cause)
}

pub(super) fn closed() -> Error {
    Error::unavailable("the store was closed")
}

pub(super) fn exhausted(what: &str) -> Error {
    Error::unavailable(format!("no connection that {what} became free in time"))
}
