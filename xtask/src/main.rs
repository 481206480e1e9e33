//! The project's own chores, each one command: `cargo xtask --help` lists them.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks through its terminal")]

mod bench;
mod codegen;
mod openapi;
mod page;
mod pages;
mod prove;
mod services;
mod test;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own chores")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Everything that has to hold before a change is merged; what CI runs
    Test(test::Arguments),
    /// The invariants of ARCHITECTURE.md, all violations at once
    Tidy,
    /// Write the files that are generated from the sample's executable
    Codegen(codegen::Arguments),
    /// Servers for the tests that stay between runs
    Services(services::Arguments),
    /// Measure speed and size beside a raw program, and judge the figures
    Bench(bench::Arguments),
    /// The kills, pauses and outages of the proof in full; writes docs/proof.md
    Prove,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = Workspace::locate().and_then(|workspace| match arguments.chore {
        Chore::Test(arguments) => test::run(&workspace, &arguments),
        Chore::Tidy => tidy::run(&workspace),
        Chore::Codegen(arguments) => codegen::run(&workspace, &arguments),
        Chore::Services(arguments) => services::run(&workspace, &arguments),
        Chore::Bench(arguments) => bench::run(&workspace, &arguments),
        Chore::Prove => prove::run(&workspace),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
