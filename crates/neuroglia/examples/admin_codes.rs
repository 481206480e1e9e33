//! A command that fails with the exit code that it is told; the tests of `admin` watch it from outside.

use std::num::NonZeroU8;
use std::process::ExitCode;

use neuroglia::App;
use neuroglia::error::{Error, Result};
use neuroglia::process::admin::{AdminCommand, AdminContext, clap};

/// Compares the books.
#[derive(clap::Args)]
struct Audit {
    /// The exit code for books that differ.
    #[arg(long)]
    code: Option<NonZeroU8>,
}

impl AdminCommand for Audit {
    const NAME: &'static str = "audit";
    const ABOUT: &'static str = "Compares the books, which differ";

    async fn run(self, _: &AdminContext) -> Result<()> {
        let differ = Error::conflict("books.differ", "the books differ");
        Err(match self.code {
            Some(code) => differ.with_exit_code(code),
            None => differ,
        })
    }
}

fn main() -> ExitCode {
    App::<()>::new("admin-codes").admin(|admin| admin.command::<Audit>()).run()
}
