//! What can be set about the engine.

use std::time::Duration;

/// Settings of a [`SqliteStore`](super::SqliteStore); the defaults fit a web process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteOptions {
    /// The largest number of connections that read; each costs a thread and up to 2 MiB of page cache, and is opened
    /// when those that are there are at work for more than a moment.
    pub readers_max: u32,
    /// How long to wait for another process that writes to the same file.
    pub busy_timeout: Duration,
    /// How long to wait for a connection.
    pub acquire_timeout: Duration,
    /// How long a group of those who write takes in who waits; the first of it is answered with the last.
    pub group_time_max: Duration,
    /// How long a ping may take.
    pub ping_timeout: Duration,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            readers_max: 4,
            busy_timeout: Duration::from_secs(5),
            acquire_timeout: Duration::from_secs(5),
            group_time_max: Duration::from_millis(10),
            ping_timeout: Duration::from_secs(2),
        }
    }
}
