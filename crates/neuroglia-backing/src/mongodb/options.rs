//! What can be set about the engine.

use std::time::Duration;

/// Settings of a [`MongoStore`](super::MongoStore); the defaults fit a process among several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MongoOptions {
    /// The largest number of operations and transactions at once, each on a connection of its own; `maxPoolSize=20`
    /// in the URL goes before it. A process has up to two connections more, by which it says that it lives, and those
    /// by which the driver watches the servers.
    pub connections_max: u32,
    /// How long to wait until one of those is free.
    pub acquire_timeout: Duration,
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// How long to look for a server that can take an operation, such as the next primary.
    pub selection_timeout: Duration,
    /// How long one operation or transaction may take, the driver's own retries included; migrations have no such limit.
    pub operation_timeout: Duration,
    /// How long a ping may take.
    pub ping_timeout: Duration,
    /// How long the deployment is waited for at start.
    /// [`store::connect`](crate::store::connect) has no such limit: the host ends it by `STARTUP_TIMEOUT`.
    pub startup_patience: Duration,
}

impl Default for MongoOptions {
    fn default() -> Self {
        Self {
            connections_max: 10,
            acquire_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            selection_timeout: Duration::from_secs(5),
            operation_timeout: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(2),
            startup_patience: Duration::from_secs(20),
        }
    }
}
