//! The kinds of process that one executable can be, each in its own file.

pub mod admin;
pub(crate) mod backlog;
pub(crate) mod caching;
pub(crate) mod hosted;
mod retention;
pub(crate) mod role;
pub(crate) mod starting;
pub(crate) mod web;

pub(crate) use retention::Retention;
pub use role::Role;
