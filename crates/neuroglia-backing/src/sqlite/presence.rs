//! Who uses the file at the moment.
//!
//! A process that dies leaves records that say "somebody is at this", and nobody is. Whether that can be so is
//! for the system to say: every process holds a shared lock on a file beside the database as long as it lives,
//! and who gets it exclusively is alone. Where the lock cannot be had, such records end by their time. Who lives without
//! it may be taken for dead by who starts, as by a clock that jumps: what is committed stays right, because tickets are
//! lost then.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::time::{sleep, timeout};

const PAUSE: Duration = Duration::from_millis(5);

/// The file while this process may find itself alone with it.
pub(super) struct Alone(File);

/// The sign that this process uses the file; it is gone with the process.
#[expect(dead_code, reason = "the lock lives as long as the file is open")]
pub(super) struct Presence(File);

/// How a process finds the file.
pub(super) enum Entered {
    /// Nobody else uses it, and nobody enters before [`Alone::stay`].
    Alone(Alone),
    /// Others do.
    Among(Presence),
}

/// Enters; waits at most this long for somebody who is alone at the moment.
pub(super) async fn enter(database: &Path, patience: Duration) -> io::Result<Entered> {
    // One file has one lock, by whatever name it is opened.
    let mut path = std::fs::canonicalize(database)?.into_os_string();
    path.push("-presence");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Entered::Alone(Alone(file))),
        Err(TryLockError::WouldBlock) => Ok(Entered::Among(share(file, patience).await?)),
        Err(TryLockError::Error(cause)) => Err(cause),
    }
}

impl Alone {
    /// Lets others in.
    pub(super) async fn stay(self, patience: Duration) -> io::Result<Presence> {
        // Another process may be alone for a moment in between; this one has begun nothing yet.
        self.0.unlock()?;
        share(self.0, patience).await
    }
}

async fn share(file: File, patience: Duration) -> io::Result<Presence> {
    let lock = async {
        loop {
            match file.try_lock_shared() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) => sleep(PAUSE).await,
                Err(TryLockError::Error(cause)) => return Err(cause),
            }
        }
    };
    timeout(patience, lock).await.map_err(io::Error::from)??;
    Ok(Presence(file))
}
