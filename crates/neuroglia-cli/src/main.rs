//! The command line of Neuroglia. It knows an application by its manifest and its executable only,
//! so it depends on none of the framework.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks through its terminal")]

mod accounts;
mod application;
mod child;
mod database;
mod dev;
mod environment;
mod port;
mod project;
mod readiness;
mod secrets;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What a command can fail with: a sentence for the terminal that says what to do.
type Result<T> = std::result::Result<T, String>;

#[derive(Parser)]
#[command(name = "neuroglia", version, about = "The command line of Neuroglia")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build an application and run it on this machine with nothing attached
    ///
    /// Secrets are made once and kept in `.neuroglia/`, beside the database, so that a second start
    /// finds the data of the first. The application's environment is `deployment/dev/*.env` of its
    /// package, then a `.env` of yours; a variable that one of them names and that you exported is
    /// taken from your shell. Nothing else of your shell's environment reaches the application.
    Dev(dev::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Dev(arguments) => dev::run(&arguments),
    };
    outcome.unwrap_or_else(|failure| {
        eprintln!("error: {failure}");
        ExitCode::FAILURE
    })
}
