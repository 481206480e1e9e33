//! One process among those that share a store.

use std::time::Duration;

use serde::Serialize;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::work::Ticket;

/// How often a node says that it lives: every 2 seconds.
pub const HEARTBEAT: Duration = Duration::from_secs(2);

/// After so long without a word a node may be taken for dead: 10 seconds, five heartbeats.
pub const NODE_TTL: Duration = Duration::from_secs(10);

/// So long before others may take it for dead a node that cannot say that it lives stops by itself; River has the
/// same second.
pub const TTL_MARGIN: Duration = Duration::from_secs(1);

/// How long after it was first found silent a node is looked at again before it is buried, at least and by the store's
/// clock: who could not say that it lives because the store was away says so meanwhile, however many others look. Longer
/// than two signs of life are apart: when the store's clock jumps ahead, all look silent whose next one is not due yet.
pub const LOOKS_APART: Duration = Duration::from_millis(2_600);

/// This process, as others see it. Its id is new at each boot, so nobody is taken for their predecessor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its id.
    pub id: Uuid,
    /// What kind of process it is.
    pub role: String,
    /// The machine that it runs on.
    pub host: String,
    /// The application's version.
    pub version: String,
    /// Whether it is about to end.
    pub is_draining: bool,
}

/// What a node learns when it says that it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// The store's clock.
    pub now: Timestamp,
    /// Whether the store did not know the node: at its first beat, or because it was taken for dead. Claims from
    /// before are lost.
    pub is_new: bool,
    /// Work in its hands that somebody called off.
    pub cancelled: Vec<Uuid>,
    /// All work that the store says is in its hands.
    pub held: Vec<Ticket>,
    /// How long the most silent of the other nodes has not said that it lives.
    pub longest_silence: Duration,
}

/// A node that was found dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Burial {
    /// Its id.
    pub node: Uuid,
    /// How many pieces of its work were given back.
    pub released: u64,
    /// How long it had been silent.
    pub silent: Duration,
}

/// A node as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeRecord {
    /// Who it is.
    #[serde(flatten)]
    pub node: Node,
    /// When it first said that it lives.
    pub started_at: Timestamp,
    /// When it last did.
    pub heartbeat_at: Timestamp,
}

/// The right to lead in something, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Grows with each new holder: what a former holder does can be told apart.
    pub epoch: i64,
    /// When it ends unless it is renewed, by the store's clock.
    pub expires_at: Timestamp,
}
