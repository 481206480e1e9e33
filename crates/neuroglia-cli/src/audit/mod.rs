//! `neuroglia audit`: whether a project is what the twelve factors ask for, as far as a program can see it.
//!
//! [`evidence`] is gathered once: the files, what cargo and git say of them, and what the application says of itself under
//! each deploy. Each factor then has a file with one function over the evidence, which finds what does not hold. A
//! finding says where it is and what to do. What depends on somebody's reasons is a note and fails nothing.

mod command;
mod evidence;
mod finding;

mod admin_processes;
mod backing_services;
mod build_release_run;
mod codebase;
mod concurrency;
mod config;
mod dependencies;
mod disposability;
mod logs;
mod parity;
mod port_binding;
mod processes;

pub(crate) use command::{Arguments, run};
