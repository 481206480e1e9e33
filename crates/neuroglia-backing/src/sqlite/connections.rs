//! One connection that writes, several that read; see `writer.rs` for the one.
//!
//! A read is quicker than the opening of a connection, so whoever finds all of them at work first waits a moment for one
//! of those. What a process asks for all at once when it starts is read through one connection in turn.
//!
//! The driver's own pool is not used: it asks a connection whether it is alive before it takes it back, which
//! costs more than loading a document, and a file does not go away.

use std::fs;
use std::io::ErrorKind as Io;
use std::ops::AsyncFnOnce;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use neuroglia::error::{Error, ErrorKind, Result};
use neuroglia::health::Details;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, timeout};

use super::error::{BUSY, CORRUPT, NOT_A_DATABASE, code, error, is_of_statement};
use super::options::SqliteOptions;
use super::writer::Writer;

/// How long somebody waits for those who read before one more connection is opened, and how long it takes until there
/// is another one more: longer than it takes to open one, and several times as long as a look-up.
const CROWDED_AFTER: Duration = Duration::from_millis(2);

pub(super) struct Connections {
    path: PathBuf,
    settings: SqliteOptions,
    reading: SqliteConnectOptions,
    /// One for each connection that may read so far.
    permits: Semaphore,
    readers: Mutex<Readers>,
    writer: Arc<Writer>,
}

struct Readers {
    idle: Vec<SqliteConnection>,
    /// How many permits there are so far.
    permitted: u32,
    /// When there came to be so many.
    since: Instant,
    /// There will be no more.
    is_closing: bool,
}

impl Readers {
    fn may_grow(&self, settings: &SqliteOptions) -> bool {
        self.permitted < settings.readers_max && !self.is_closing
    }
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
            permits: Semaphore::new(1),
            readers: Mutex::new(Readers {
                idle: Vec::new(),
                permitted: 1,
                since: Instant::now(),
                is_closing: false,
            }),
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
            Err(_) => match timeout(self.settings.acquire_timeout, self.wait()).await {
                Ok(Ok(permit)) => permit,
                Ok(Err(_closed)) => return Err(closed()),
                Err(_elapsed) => return Err(exhausted("reads")),
            },
        };
        let mut reader = Reader { connections: self, connection: None, _permit: permit };
        let idle = self.readers().idle.pop();
        reader.connection = Some(match idle {
            Some(connection) => connection,
            None => self.reading.connect().await.map_err(error)?,
        });
        Ok(reader)
    }

    /// Waits for a connection that reads, and lets there be one more when that takes long.
    async fn wait(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        let mut permit = pin!(self.permits.acquire());
        while self.may_grow() {
            if let Ok(permit) = timeout(CROWDED_AFTER, &mut permit).await {
                return permit;
            }
            self.grow();
        }
        permit.await
    }

    fn may_grow(&self) -> bool {
        self.readers().may_grow(&self.settings)
    }

    /// Of those who have waited together, one has it grow.
    fn grow(&self) {
        let mut readers = self.readers();
        if readers.may_grow(&self.settings) && readers.since.elapsed() >= CROWDED_AFTER {
            readers.permitted += 1;
            readers.since = Instant::now();
            self.permits.add_permits(1);
        }
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
        let permitted = {
            let mut readers = self.readers();
            readers.is_closing = true;
            readers.permitted
        };
        let everybody = self.permits.acquire_many(permitted);
        let waited = timeout(self.settings.acquire_timeout, everybody).await;
        self.permits.close();
        drop(waited);
        let idle = std::mem::take(&mut self.readers().idle);
        for reader in idle {
            note(reader.close().await);
        }
        // The writer goes last, because only a connection that may write can empty the log.
        self.writer.close().await;
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
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
            self.connections.readers().idle.push(connection);
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn opened(readers_max: u32) -> (tempfile::TempDir, Connections) {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = SqliteOptions { readers_max, ..SqliteOptions::default() };
        let connections =
            Connections::open(&folder.path().join("store.db"), &settings).await.expect("it opens");
        (folder, connections)
    }

    async fn read(connections: &Connections) {
        let mut reader = connections.reader().await.expect("in its turn");
        let query = sqlx::query_scalar("SELECT 1");
        let one: i64 =
            reader.run(async |connection| query.fetch_one(connection).await).await.expect("it reads");
        assert_eq!(one, 1);
    }

    #[tokio::test]
    async fn who_waits_long_gets_a_connection_of_his_own_up_to_the_limit() {
        let (_folder, connections) = opened(2).await;
        let first = connections.reader().await.expect("the first");
        let second = connections.reader().await.expect("one more, because the first does not end");
        let mut third = pin!(connections.reader());
        let later = timeout(CROWDED_AFTER * 5, &mut third).await;
        assert!(later.is_err(), "there are as many as there may be");
        assert_eq!(connections.readers().permitted, 2);
        drop(first);
        let third = third.await.expect("the connection of the first");
        drop((second, third));
        assert_eq!(connections.readers().idle.len(), 2);
        connections.close().await;
        assert!(connections.reader().await.is_err(), "it is closed");
    }

    #[tokio::test]
    async fn who_reads_in_turn_opens_one_connection() {
        let (_folder, connections) = opened(4).await;
        for _ in 0..20 {
            read(&connections).await;
        }
        {
            let readers = connections.readers();
            assert_eq!((readers.permitted, readers.idle.len()), (1, 1));
        }
        connections.close().await;
    }
}
