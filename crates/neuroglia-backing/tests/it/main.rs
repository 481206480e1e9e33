//! The engines by their port, and each by what is its own.

mod conformance;
mod differential;
mod mongodb_outages;
mod mongodb_plans;
mod mongodb_steps;
mod paging;
mod postgres_lanes;
mod postgres_news;
mod postgres_outages;
mod postgres_plans;
mod postgres_steps;
mod postgres_tls;
mod postgres_together;
mod sqlite_commands;
mod sqlite_files;
mod sqlite_plans;
mod sqlite_steps;
mod sqlite_together;
mod support;
mod sweeps;
