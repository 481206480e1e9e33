//! The engines by their port, and the SQLite engine by what is its own.

mod conformance;
mod differential;
mod paging;
mod sqlite_commands;
mod sqlite_files;
mod sqlite_plans;
mod sqlite_steps;
mod support;
