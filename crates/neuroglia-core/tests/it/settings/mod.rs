//! Settings from an environment: every rule for operators, every fault, and no secret anywhere.

mod pizzeria;

mod compiler;
mod defaults;
mod loading;
mod output;
mod secrets;
mod several;
mod warnings;
