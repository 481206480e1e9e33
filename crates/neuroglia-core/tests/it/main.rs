//! The public surface of the core, used as an application uses it.

extern crate neuroglia_core as neuroglia;

mod settings;
