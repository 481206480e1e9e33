//! The kinds of process that one executable can be, each in its own file.

pub mod admin;
pub(crate) mod hosted;
pub(crate) mod web;
