//! A store in front of another one, of which only what differs is written.
//!
//! The store port has some forty methods. Whoever wants one of them to wait, to fail or to lie implements
//! [`StoreLayer`], whose methods ask the store behind, overrides that one, and has a store with [`Layered`]. The
//! methods are listed here once; a new one in the port is a compile error until it is listed as well. Each asks the same
//! method of the store behind: who overrides `query` overrides `query_all` too.

use std::convert::Infallible;
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::clock::Timestamp;
use neuroglia::cluster::{Beat, Burial, ClusterStore, Lease, Node, NodeRecord};
use neuroglia::data::{
    AppliedMigration, Batch, Document, History, Migration, MigrationRun, OutboxMessage, Reservation, Reserve,
    Select, Store,
};
use neuroglia::error::Result;
use neuroglia::health::Details;
use neuroglia::messaging::{OutboxDepth, OutboxStore, Parcel, Subscription, Wake};
use neuroglia::work::{
    Claim, Claimed, Depth, NewWork, Revision, Settlement, Ticket, WorkFilter, WorkRecord, WorkStore,
};
use uuid::Uuid;

/// The store that this layer makes of the one behind it.
///
/// ```
/// use std::sync::Arc;
/// use async_trait::async_trait;
/// use neuroglia::data::{Store, memory::MemoryStore};
/// use neuroglia::error::{Error, Result};
/// use neuroglia::health::Details;
/// use neuroglia_testing::{Layered, StoreLayer};
///
/// struct Sick(MemoryStore);
///
/// #[async_trait]
/// impl StoreLayer for Sick {
///     fn behind(&self) -> &dyn Store {
///         &self.0
///     }
///
///     async fn ping(&self) -> Result<Details> {
///         Err(Error::unavailable("the test made it sick"))
///     }
/// }
///
/// let store: Arc<dyn Store> = Arc::new(Layered(Sick(MemoryStore::new())));
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// assert!(store.ping().await.is_err());
/// assert!(store.nodes().await.is_ok());
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct Layered<L>(
    /// The layer.
    pub L,
);

macro_rules! layer {
    ($(
        impl $port:ident {
            $(fn $method:ident($($name:ident: $of:ty),*) -> $answer:ty;)+
            $({ $($apart:tt)+ })?
        }
    )+) => {
        /// What differs from the store behind: each method of the port asks that store, unless it is overridden.
        #[async_trait]
        pub trait StoreLayer: Send + Sync + 'static {
            /// The store behind.
            fn behind(&self) -> &dyn Store;

            /// The store behind, for one call that may fail.
            fn reach(&self) -> Result<&dyn Store> {
                Ok(self.behind())
            }

            /// What [`Store::close`] does; a store behind is closed even when it cannot be reached.
            async fn close(&self) {
                self.behind().close().await;
            }

            $($(
                #[doc = concat!("What [`", stringify!($port), "::", stringify!($method), "`] does.")]
                async fn $method(&self, $($name: $of),*) -> Result<$answer> {
                    self.reach()?.$method($($name),*).await
                }
            )+)+
        }

        $(
            #[async_trait]
            impl<L: StoreLayer> $port for Layered<L> {
                $($($apart)+)?

                $(
                    async fn $method(&self, $($name: $of),*) -> Result<$answer> {
                        self.0.$method($($name),*).await
                    }
                )+
            }
        )+
    };
}

layer! {
    impl Store {
        fn load(collection: &'static str, id: &str) -> Option<Document>;
        fn query(select: &Select) -> Vec<Document>;
        fn query_all(selects: &[Select]) -> Vec<Vec<Document>>;
        fn count(select: &Select) -> u64;
        fn commit(batch: Batch) -> ();
        fn reserve(reserve: &Reserve) -> Reservation;
        fn release(key: &str, token: &str) -> ();
        fn purge_expired(limit: u32) -> u64;
        fn own_history() -> History;
        fn applied_migrations() -> Vec<AppliedMigration>;
        fn migrate(migrations: &[Migration], now: Timestamp) -> MigrationRun;
        fn ping() -> Details;
        {
            fn engine(&self) -> &'static str {
                self.0.behind().engine()
            }

            fn is_ephemeral(&self) -> bool {
                self.0.behind().is_ephemeral()
            }

            async fn close(&self) {
                self.0.close().await;
            }
        }
    }

    impl OutboxStore {
        fn outbox(limit: u32) -> Vec<OutboxMessage>;
        fn claim_outbox(token: Uuid, limit: u32, lease: Duration) -> Vec<OutboxMessage>;
        fn confirm_outbox(token: Uuid, ids: &[Uuid]) -> ();
        fn return_outbox(token: Uuid, ids: &[Uuid], pause: Duration) -> ();
        fn outbox_depth() -> OutboxDepth;
    }

    impl WorkStore {
        fn subscribe(subscriptions: &[Subscription]) -> ();
        fn subscriptions() -> Vec<Subscription>;
        fn unsubscribe(consumer: &str) -> bool;
        fn fan_out(parcels: &[Parcel]) -> u64;
        fn claim(claim: &Claim) -> Vec<Claimed>;
        fn settle(settlements: &[(Ticket, Settlement)]) -> Vec<bool>;
        fn note_progress(ticket: Ticket, progress: &str) -> bool;
        fn list_work(filter: &WorkFilter) -> Vec<WorkRecord>;
        fn revise(id: Uuid, revision: &Revision) -> bool;
        fn purge_work(limit: u32) -> u64;
        fn depths() -> Vec<Depth>;
    }

    impl ClusterStore {
        fn now() -> Timestamp;
        fn beat(node: &Node) -> Beat;
        fn bury(ttl: Duration, apart: Duration, limit: u32) -> Vec<Burial>;
        fn leave(node: Uuid) -> ();
        fn nodes() -> Vec<NodeRecord>;
        fn lease(name: &str, holder: Uuid, ttl: Duration) -> Option<Lease>;
        fn resign(name: &str, holder: Uuid) -> ();
        fn plan(schedule: &str, run_at: Timestamp, work: &NewWork) -> bool;
        fn last_run(schedule: &str) -> Option<Timestamp>;
        fn purge_runs(before: Timestamp) -> u64;
        fn announce() -> ();
        fn listen(wake: &Wake) -> Infallible;
    }
}
