//! Everything that is tested from outside, in one executable.

mod hostile;
mod server;
mod wire;
