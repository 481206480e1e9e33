//! The domain of Mario's Pizzeria: what a pizza costs, what may happen to an order, and who says so.
//!
//! Everything here is a value or an aggregate. Nothing here asks for the time, makes an id, reads a store or
//! knows about HTTP: times and ids come in as arguments (see [`stamp`]), and what happened goes out as domain
//! events with stable names. What an outsider sends is kept in *drafts*, plain structs of unjudged text; a draft
//! is judged once and whole, and gives either a value that is right by its type or a [`Refusal`] that lists
//! everything that is wrong with it.
//!
//! In reading order: [`money`]; the [`menu`] with the one pricing policy; the [`order`] and its state machine;
//! the [`kitchen`] and its places; the [`customer`]; the [`notification`]; the [`user`] accounts.
//!
//! # The wall
//! The domain depends on the core of the framework only. HTTP is not something that it could name:
//!
//! ```compile_fail,E0432
//! use neuroglia::web;
//! ```
//!
//! # Notes on the documents
//! An aggregate is stored as one JSON document. Fields that queries and indexes use stand at the top level of
//! the document as plain scalars, and each has a constant with its path (`Order::STATUS_PATH`), so that a query
//! and the document cannot drift apart.

pub mod money;

pub mod menu;
pub mod order;

pub mod customer;
pub mod kitchen;
pub mod notification;
pub mod user;

mod refusal;
pub mod stamp;

pub use refusal::Refusal;
