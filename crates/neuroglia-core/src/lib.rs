//! The contracts and the pure heart of Neuroglia: no HTTP, no driver, no signal, no environment.
//!
//! Layers of an application below HTTP depend on this crate under the name `neuroglia`; the API layer and the
//! composition root depend on the host crate, which re-exports everything here. Source therefore says
//! `use neuroglia::…` everywhere, and `use neuroglia::web` in a domain crate is a compile error.
//!
//! In reading order: [`error`], [`clock`] and [`id`]; what a [`domain`] is made of; the container ([`di`]); the
//! [`mediation`] of messages; the store port and the unit of work ([`data`]); events for outside
//! ([`messaging`], [`webhook`]), durable [`work`], the nodes that share it ([`cluster`]) and [`schedule`]s; what is kept
//! for a while ([`cache`]); [`settings`]; how attached resources say that they are well ([`health`]) and what they count
//! ([`meter`]).

extern crate self as neuroglia;

pub mod error;
pub mod fault;

pub mod clock;
pub mod id;

pub mod domain;

pub mod di;
pub mod identity;

pub mod data;

pub mod documents;
pub mod health;
pub mod hosting;
pub mod mediation;
pub mod meter;

pub mod messaging;
pub mod webhook;
pub mod work;

pub mod cluster;
pub mod schedule;

pub mod cache;
pub mod mail;

pub mod settings;
