//! Executable contracts: one suite for each port, run against every engine of it.

pub mod bus;
pub mod cache;
pub mod mail;
pub mod store;
