//! Commands, queries and domain events, and the pipeline around each message.
//!
//! A message names its handler, so dispatch is static: no look-up, and a missing handler is a compile error at
//! the message. Around it stands the application's [`Pipeline`]: behaviours in an explicit order, by default
//! trace → validate → authorise → idempotency → retry on conflict → unit of work.
//!
//! ```
//! # extern crate neuroglia_core as neuroglia;
//! use neuroglia::di::{Inject, ServiceCollection};
//! use neuroglia::error::Result;
//! use neuroglia::mediation::{Mediator, Messages, Pipeline, Query, QueryHandler};
//!
//! struct Greet { name: String }
//!
//! impl Query for Greet {
//!     type Response = String;
//!     type Handler = GreetHandler;
//! }
//!
//! #[derive(Inject)]
//! struct GreetHandler {}
//!
//! impl QueryHandler<Greet> for GreetHandler {
//!     async fn handle(&self, query: Greet) -> Result<String> {
//!         Ok(format!("hello, {}", query.name))
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let mut services = ServiceCollection::new();
//! Messages::new(Pipeline::empty()).query::<Greet>().register(&mut services);
//!
//! let services = services.build().unwrap().start().await.unwrap();
//! let scope = services.scope();
//! let mediator: Mediator = scope.inject().unwrap();
//! assert_eq!(mediator.send(Greet { name: "Ada".into() }).await.unwrap(), "hello, Ada");
//! # });
//! ```

mod behaviours;
mod event;
mod idempotency;
mod mediator;
mod message;
mod messages;
mod pipeline;
mod retry;
mod validation;

pub use behaviours::{Authorise, Commit, Trace, Validate};
pub use event::EventHandler;
pub(crate) use event::as_command;
pub use idempotency::Idempotency;
pub use mediator::Mediator;
pub use message::{Command, CommandHandler, Kind, Message, Query, QueryHandler};
pub use messages::{MessageDescription, Messages};
pub use pipeline::{Behaviour, Call, Guard, Next, Pipeline};
pub use retry::RetryOnConflict;
pub use validation::Checks;
