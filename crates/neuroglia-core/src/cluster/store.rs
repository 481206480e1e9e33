//! The part of the store port that nodes share: who lives, who leads, what was planned, what they tell each other.

use std::convert::Infallible;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::{Beat, Burial, Lease, Node, NodeRecord};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::messaging::Wake;
use crate::work::NewWork;

/// What the nodes of an application know of each other. Whether somebody is dead is judged by the store's clock
/// alone.
#[async_trait]
pub trait ClusterStore: Send + Sync {
    /// The store's clock, the one that all nodes share.
    async fn now(&self) -> Result<Timestamp>;

    /// Says that this node lives. On a connection of its own, where the engine has connections.
    async fn beat(&self, node: &Node) -> Result<Beat>;

    /// Looks for nodes that have not said for the time to live that they live. Of one that was first found so at
    /// least `apart` ago, the work is given back, at most `limit` pieces; the node's row goes with the last of it.
    async fn bury(&self, ttl: Duration, apart: Duration, limit: u32) -> Result<Vec<Burial>>;

    /// Says that this node ends. What the store says is still in its hands is given back without counting the attempt: how
    /// that ends which must not begin again was settled before.
    async fn leave(&self, node: Uuid) -> Result<()>;

    /// Every node that has not been buried.
    async fn nodes(&self) -> Result<Vec<NodeRecord>>;

    /// Takes or renews a lease; none when somebody else has it. The epoch grows with each new holder.
    async fn lease(&self, name: &str, holder: Uuid, ttl: Duration) -> Result<Option<Lease>>;

    /// Gives a lease back before its time.
    async fn resign(&self, name: &str, holder: Uuid) -> Result<()>;

    /// Stores the work of one run of a schedule, unless that run is stored already; gives whether it was not.
    async fn plan(&self, schedule: &str, run_at: Timestamp, work: &NewWork) -> Result<bool>;

    /// The last run of a schedule that was planned.
    async fn last_run(&self, schedule: &str) -> Result<Option<Timestamp>>;

    /// Forgets planned runs before this moment, but of each schedule the last; gives their number.
    async fn purge_runs(&self, before: Timestamp) -> Result<u64>;

    /// Tells the other processes that there is work. Never part of a commit, which might have to wait for it. An engine
    /// that cannot does nothing: they find it by looking.
    async fn announce(&self) -> Result<()> {
        Ok(())
    }

    /// Rings for work that others announce, and for what waits for its time when that comes, until the connection is
    /// lost. As long as that works the process counts as [hearing](Wake::hearing). An engine without announcements
    /// never comes back.
    async fn listen(&self, wake: &Wake) -> Result<Infallible> {
        let _ = wake;
        std::future::pending().await
    }
}
