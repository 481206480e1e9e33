//! What a domain is made of: aggregates that raise events.

mod aggregate;
mod event;

pub use aggregate::{Aggregate, Root};
pub use event::{AnyEvent, DomainEvent};
