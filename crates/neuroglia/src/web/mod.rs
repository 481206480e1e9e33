//! HTTP: controllers and plain axum handlers, and what stands between them and the network.
//!
//! A controller is an `impl` block with `#[controller("/path")]`; each action says its method, its path and who
//! may call it, and is a few lines long: decode, send a message, encode. Plain axum routers and tower layers
//! stand beside controllers ([`Web::plain`]), and a layer may be around all of them ([`Web::layer`]).
//!
//! ```
//! use neuroglia::di::Inject;
//! use neuroglia::error::Result;
//! use neuroglia::web::{Json, Path, Web, controller};
//!
//! #[derive(Inject)]
//! struct Greetings {}
//!
//! #[controller("/greetings")]
//! impl Greetings {
//!     /// Greet somebody by name.
//!     #[get("/{name}", public)]
//!     async fn greet(&self, Path(name): Path<String>) -> Result<Json<String>> {
//!         Ok(Json(format!("hello, {name}")))
//!     }
//! }
//!
//! fn controllers(web: Web) -> Web {
//!     web.controller::<Greetings>()
//! }
//! # let _ = controllers;
//! ```
//!
//! In the order in which a request meets them: [`server`] accepts and limits, [`edge`] gives ids and form, the
//! routes' `Context` finds out who asks and opens a scope, [`extract`] decodes, an action answers with a
//! [`Reply`], and whatever is wrong becomes a [`Problem`].

pub mod server;

pub mod edge;

mod context;
mod policy;
mod routes;
mod routing;

mod event_stream;
pub mod extract;
mod problem;
mod reply;

mod ingest;
mod rate_limit;

pub mod docs;
pub mod openapi;

pub(crate) use context::Context;
pub use edge::{Arrival, Edge, EdgeSettings, Subscriber};
pub use extract::{IfMatch, Injected, Json, Path, Query};
pub use ingest::{EventIngestion, IngestKeys, IngestSettings};
pub use neuroglia_macros::controller;
pub use policy::Policy;
pub use problem::Problem;
pub use rate_limit::{Allowance, InvalidQuota, Quota, RateLimit};
pub use reply::{Accepted, Created, NoContent, Reply, Tagged, WithCookie};
pub use routes::{Controller, Route, RouteDescription, Web};
pub use routing::Routing;

#[doc(no_inline)]
pub use axum;
#[doc(no_inline)]
pub use http;
