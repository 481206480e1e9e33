//! `neuroglia export`: what other platforms are told of an application, made of its Procfile, of what it says of
//! itself, and of a deploy.
//!
//! [`deployment`] gathers what is known, and each platform has a file that says it in the platform's words. Nothing is
//! asked for that is known already, so an export can be made again at any time and compared with what is kept.

mod command;
mod compose;
mod deployment;
mod kubernetes;
mod procfile;
mod systemd;
mod yaml;

pub(crate) use command::{Arguments, run};
