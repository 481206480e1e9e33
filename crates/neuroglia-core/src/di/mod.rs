//! The container: what a service needs is declared by its type, checked as a whole at boot, and built per scope.
//!
//! A [`ServiceCollection`] lists services with a [`Lifetime`]; [`ServiceCollection::build`] checks the whole
//! graph before anything is constructed and reports every fault at once; [`Graph::start`] constructs the
//! singletons in the order of their dependencies (an asynchronous factory may connect a pool there); and each
//! request, message, job or command gets a [`Scope`] of the started [`Services`].
//!
//! ```
//! # extern crate neuroglia_core as neuroglia;
//! use std::sync::Arc;
//! use neuroglia::di::{Inject, ServiceCollection};
//!
//! trait Greeter: Send + Sync { fn greet(&self) -> String; }
//!
//! #[derive(Inject)]
//! #[provides(dyn Greeter)]
//! struct English {}
//! impl Greeter for English { fn greet(&self) -> String { "hello".into() } }
//!
//! #[derive(Inject)]
//! struct Page { greeter: Arc<dyn Greeter> }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let mut services = ServiceCollection::new();
//! services.add_scoped::<dyn Greeter, English>();
//! services.add_scoped::<Page, Page>();
//!
//! let services = services.build().unwrap().start().await.unwrap();
//! let scope = services.scope();
//! assert_eq!(scope.get::<Page>().unwrap().greeter.greet(), "hello");
//! scope.close().await;
//! services.dispose().await;
//! # });
//! ```
//!
//! # Design
//! * A field of a `#[derive(Inject)]` struct is anything that implements [`Inject`]: `Arc<T>` and
//!   `Arc<dyn Port>` look a registration up, `Option<Arc<…>>` accepts that there is none, `Vec<Arc<…>>` takes
//!   all in the order of registration, and a struct that derives `Inject` is built in place without being
//!   registered.
//! * Only singletons may be built asynchronously, once, at start. Scoped and transient services are built from
//!   what is there, so that a request's graph costs nanoseconds and nothing can wait in it.
//! * A factory declares what it needs as its argument, so that it is checked like everything else.
//! * Nothing is global: two applications in one process do not see each other.

mod collection;
mod disposal;
mod edges;
mod inject;
mod provider;
mod scope;
mod validation;

pub use collection::{Lifetime, Service, ServiceCollection, ServiceDescription};
pub use inject::{Dependencies, Dispose, Disposer, Inject, Provides};
pub use neuroglia_macros::Inject;
pub(crate) use provider::TypeIdHasher;
pub use provider::{Graph, ScopeFactory, Services};
pub use scope::{Scope, WeakScope};
