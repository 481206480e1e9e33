//! The processes that share a store: who lives, who leads, and what becomes of the work of the dead.
//!
//! A node is a process with an id that is new at each boot. It says every two seconds that it lives; whoever is
//! silent for ten, by the store's clock, and was found so twice, is buried: its work is given back. A node that was
//! buried alive finds out at its next beat, or at the latest when it wants to finish something, because its tickets
//! are void. A node that cannot reach the store lets go by itself before others may take it for dead.
//!
//! How long it takes until somebody has the work of the dead, from the node's last word:
//!
//! | what | until |
//! |---|---|
//! | it may be taken for dead ([`NODE_TTL`]); each beat tells the others when, and they look at that moment | 10.1 s |
//! | they look again ([`LOOKS_APART`]), bury it, and wake the workers of their own process | 12.8 s |
//! | workers of other processes hear of it, or look by themselves where they cannot hear | 14.1 s |
//!
//! They look several times in between, so that a node that falls silent shortly after another is buried at most 0.7 s
//! later after its own last word.
//!
//! A worker that hears of work looks by itself every 6.3 s at most: when the word itself is lost, because the connection
//! of whoever listens has fallen silent unnoticed, it has the work by 19 s. A word that could not be said is said again.
//!
//! What a dead relay had in its hands is free when its lease is over, after 10 s; the next relay looks by 11.3 s, and
//! workers by 12.5 s. So one of the promised 15 seconds is left for a machine with other work too.

mod heart;
mod membership;
mod node;
mod store;
mod voice;

pub use heart::Heart;
pub use membership::{Membership, NodeName, register};
pub use node::{Beat, Burial, HEARTBEAT, LOOKS_APART, Lease, NODE_TTL, Node, NodeRecord, TTL_MARGIN};
pub use store::ClusterStore;
pub use voice::{Ear, Voice};
