//! Mario's Pizzeria by its users' door: HTTP on a real socket, and the executable itself.

mod shop;

mod menu;
mod orders;

mod steps;

mod kitchen;
mod statistics;

mod corruption;
mod customers;
mod mail;
mod ownership;
mod payments;

mod events;
mod schedule;

mod issuer;
mod roles;
mod security;
mod sessions;

mod caching;

mod idempotency;

mod conditional;
mod http;
mod paging;

mod boot;
mod describe;

mod process;
mod tour;

mod prove;
