//! The command line as its users meet it: the real executable, on a real workspace.

mod audit;
mod dev;
mod export;
mod formation;
mod new;
mod readiness;
mod readme;
mod sample;
mod stages;
mod terminal;
