//! The command line as a developer meets it: the real executable, on a real workspace.

mod dev;
mod sample;
mod terminal;
