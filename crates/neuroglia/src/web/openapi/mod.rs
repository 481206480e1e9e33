//! The application's OpenAPI 3.1 document, drawn from its routes.
//!
//! Nothing is declared twice: method, path and policy come from the [`Route`](super::Route), summary and
//! description from the action's doc comment, parameters, bodies and replies from the types in its signature. A
//! type tells what it adds by [`Describe`]; a type that does not implement it is left out. Schemas come from
//! [`schemars`], whose dialect, JSON Schema 2020-12, is the one of OpenAPI 3.1.
//!
//! What holds for every operation is added by [`document`]: the errors that can happen, the security that the
//! policy asks for, `Idempotency-Key`.
//!
//! ```
//! use neuroglia::web::openapi::{Describe, Operation};
//!
//! /// The token by which a guest follows an order.
//! struct TrackingToken(String);
//!
//! impl Describe for TrackingToken {
//!     fn describe_parameter(operation: &mut Operation<'_>) {
//!         operation.header_parameter::<String>("X-Tracking-Token", false, "from the answer to a guest's order");
//!     }
//! }
//! # let _ = TrackingToken(String::new()).0;
//! ```

mod describe;
mod document;
mod operation;
mod problems;
mod schemas;

#[doc(hidden)]
pub mod probe;

pub use describe::Describe;
pub use document::{Info, document};
pub use operation::Operation;
#[doc(hidden)]
pub use probe::Probe;
