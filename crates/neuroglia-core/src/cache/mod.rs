//! What is kept for a while because it is cheaper to keep than to find out again.
//!
//! A [`Cache`] is a service like any other. Whether it is this process' memory or a server that many processes
//! share is decided by the engine behind it ([`CacheEngine`]), which a URL chooses:
//!
//! ```
//! # use std::sync::Arc;
//! # use std::time::Duration;
//! # use neuroglia_core::cache::{Cache, MemoryCache};
//! # use neuroglia_core::clock::Clock;
//! # use neuroglia_core::error::Result;
//! # use neuroglia_core::id::Ids;
//! async fn menu(cache: &Cache) -> Result<Vec<String>> {
//!     let find_out = || async { Ok(vec!["Margherita".to_owned()]) }; // from the store
//!     cache.get_or_compute("menu", Duration::from_secs(60), find_out).await
//! }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let engine = MemoryCache::new(Default::default(), Clock::system());
//! let cache = Cache::new(Arc::new(engine), "shop", Ids::random());
//! assert_eq!(menu(&cache).await?, ["Margherita"]);
//! assert_eq!(cache.get::<Vec<String>>("menu").await.as_deref(), Some(&["Margherita".to_owned()][..]));
//! # Ok::<(), neuroglia_core::error::Error>(())
//! # }).unwrap();
//! ```
//!
//! # What fails, and how
//! * **A cache fails open.** One that is away has nothing, at once or within its engine's time-out; no request fails
//!   for it. Nothing may be kept in it alone.
//! * **[`Sessions`] fail closed.** A session that cannot be read is nobody's: the request is refused as unavailable,
//!   and never answered as if nobody had logged in. Where the cache is not shared they are kept in the store
//!   ([`StoredEntries`]).
//! * **[`SharedLimits`] fail open to what each process counts itself.**

mod handle;

mod answer;
mod engine;
mod flights;
mod meter;

mod memory;
mod stored;

mod limits;
mod sessions;

mod registration;

pub use answer::Answer;
pub use engine::{CacheEngine, CacheIndicator};
pub use handle::{Cache, ENTRY_BYTES_MAX, KEY_BYTES_MAX};
pub use limits::{SharedLimits, Taken};
pub use memory::{MemoryCache, MemoryCacheLimits};
pub use meter::CacheMeter;
pub use registration::{Keeper, Keyspace, register, register_sessions};
pub use sessions::{SESSION_BYTES_MAX, Session, SessionSettings, Sessions};
pub use stored::StoredEntries;
