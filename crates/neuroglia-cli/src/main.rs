//! The command line of Neuroglia. It knows an application by its manifest and its executable only,
//! and of the framework the core: its clock, and how settings are written.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks through its terminal")]

mod build;
mod release;
mod releases;
mod run;

mod formation;

mod audit;
mod dev;
mod export;
mod new;

mod deploy_files;
mod depot;
mod manifest;
mod procfile;
mod project;

mod accounts;
mod application;
mod attached;
mod child;
mod database;
mod digest;
mod environment;
mod git;
mod port;
mod readiness;
mod running;
mod secrets;
mod stamp;

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
    /// Make a small application that compiles and passes its test
    New(new::Arguments),
    /// Build stage: make an executable of a commit, and keep it with all that went into it
    Build(build::Arguments),
    /// Release stage: join a build and the configuration of a deploy, and make that the current release
    Release(release::Arguments),
    /// List the releases
    Releases(releases::Arguments),
    /// Make an earlier release the current one
    Rollback(releases::RollbackArguments),
    /// Run stage: become one process of the current release
    ///
    /// Everything behind the name of the process is for the application: `neuroglia run admin seed`.
    Run(run::Arguments),
    /// Run stage: run several processes of the current release, and stop them together
    Start(formation::Arguments),
    /// Tell a platform of an application: manifests, units, or a Procfile
    Export(export::Arguments),
    /// See whether a project is what the twelve factors ask for; exit code 1 when something is to be mended
    Audit(audit::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Dev(arguments) => dev::run(&arguments),
        Command::New(arguments) => new::run(&arguments),
        Command::Build(arguments) => build::run(&arguments),
        Command::Release(arguments) => release::run(&arguments),
        Command::Releases(arguments) => releases::run(&arguments),
        Command::Rollback(arguments) => releases::rollback(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Start(arguments) => formation::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
    };
    outcome.unwrap_or_else(|failure| {
        eprintln!("error: {failure}");
        ExitCode::FAILURE
    })
}
