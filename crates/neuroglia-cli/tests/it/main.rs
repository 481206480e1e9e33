//! The command line as its users meet it: the real executable, on a real workspace.

mod dev;
mod formation;
mod readiness;
mod sample;
mod stages;
mod terminal;
