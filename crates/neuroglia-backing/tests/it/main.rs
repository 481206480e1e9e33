//! The engines by their port, and each by what is its own.

mod buses;
mod caches;
mod conformance;
mod differential;
mod documents;
mod letters;
mod mongodb_outages;
mod mongodb_plans;
mod mongodb_steps;
mod nats;
mod paging;
mod postgres_lanes;
mod postgres_news;
mod postgres_outages;
mod postgres_plans;
mod postgres_steps;
mod postgres_tls;
mod postgres_together;
mod rabbitmq;
mod redis_illness;
mod redis_tls;
mod sink;
mod smtp;
mod smtp_illnesses;
mod sqlite_commands;
mod sqlite_files;
mod sqlite_plans;
mod sqlite_steps;
mod sqlite_together;
mod support;
mod sweeps;
mod without;

mod service;
mod service_client;
mod service_illnesses;
