//! What can be set about the engine.

use std::time::Duration;

/// Settings of a [`PostgresStore`](super::PostgresStore); the defaults fit a process among several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresOptions {
    /// The largest number of connections that share the work; `pool=20` in the URL goes before it. A process has up to
    /// two more: one by which it says that it lives, and, when it claims work, one that listens. The server's
    /// `max_connections` is for all processes together.
    pub connections_max: u32,
    /// How long to wait for a connection.
    pub acquire_timeout: Duration,
    /// How long the server may work on a statement; migrations have no such limit.
    pub statement_timeout: Duration,
    /// How long a statement may wait for a lock.
    pub lock_timeout: Duration,
    /// How long a transaction may be open without a statement: shorter than the life of a node, so that a process
    /// which was stopped in the middle of one does not keep others from its work.
    pub idle_in_transaction_timeout: Duration,
    /// How long a ping may take.
    pub ping_timeout: Duration,
    /// How long the first connection is tried for while the server is not there.
    /// [`store::connect`](crate::store::connect) has no such limit: the host ends it by `STARTUP_TIMEOUT`.
    pub startup_patience: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            connections_max: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(10),
            idle_in_transaction_timeout: Duration::from_secs(5),
            ping_timeout: Duration::from_secs(2),
            startup_patience: Duration::from_secs(20),
        }
    }
}

#[cfg(test)]
mod tests {
    use neuroglia::cluster::NODE_TTL;

    use super::*;

    #[test]
    fn what_a_stopped_node_has_locked_is_free_when_it_is_buried() {
        assert!(PostgresOptions::default().idle_in_transaction_timeout < NODE_TTL);
    }
}
