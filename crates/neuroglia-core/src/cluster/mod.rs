//! The processes that share a store: who lives, who leads, and what becomes of the work of the dead.
//!
//! A node is a process with an id that is new at each boot. It says every two seconds that it lives; whoever is
//! silent for ten, by the store's clock, and was found so twice, is buried: its work is given back. A node that was
//! buried alive finds out at its next beat, or at the latest when it wants to finish something, because its tickets
//! are void. A node that cannot reach the store lets go by itself before others may take it for dead.

mod membership;
mod node;
mod store;
mod voice;

pub use membership::{Heart, Membership, NodeName, register};
pub use node::{Beat, Burial, HEARTBEAT, Lease, NODE_TTL, Node, NodeRecord, STALE_LOOKS, TTL_MARGIN};
pub use store::ClusterStore;
pub use voice::{Ear, Voice};
