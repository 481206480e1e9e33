//! The chore itself: build, measure each part, print the table, keep it.

use std::num::NonZeroUsize;

use crate::bench::machine::Machine;
use crate::bench::report::{self, Figures};
use crate::bench::versus::Load;
use crate::bench::{buses, clients, dispatch, durable, sample, versus};
use crate::workspace::{Result, Workspace};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How often each program is loaded; the median of the ratios counts
    #[arg(long, default_value = "5")]
    rounds: NonZeroUsize,
    /// GET requests of one run
    #[arg(long, default_value = "200000")]
    gets: NonZeroUsize,
    /// POST requests of one run
    #[arg(long, default_value = "100000")]
    posts: NonZeroUsize,
    /// Kept connections, each with one request under way
    #[arg(long, default_value = "16")]
    connections: NonZeroUsize,
    /// Measure one part; may be repeated
    #[arg(long, value_enum, conflicts_with = "save")]
    only: Vec<Part>,
    /// Write the figures into docs/benchmarks.md
    #[arg(long)]
    save: bool,
}

/// What can be measured by itself.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// CPU of a request beside the raw program
    Requests,
    /// Dispatch, behaviours and scopes in nanoseconds, by criterion
    Dispatch,
    /// Memory, start and size of the sample
    Sample,
    /// Events, jobs and orders on SQLite and PostgreSQL
    Durable,
    /// Events through RabbitMQ and NATS
    Buses,
    /// CPU of a cached read on Redis beside the bare client
    Cached,
    /// CPU of a commit on MongoDB's stand-in beside the bare driver
    Commits,
}

/// Measures all parts, or those that `--only` names, and judges the figures.
///
/// A part that cannot be measured does not keep the others from it.
///
/// # Errors
/// When the release build fails, a part could not be measured, or the page cannot be written. A
/// figure that misses its mark is no error: on a shared machine it would be one at random.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let machine = Machine::describe()?;
    println!("{}", machine.summary());
    let wanted = |part: Part| arguments.only.is_empty() || arguments.only.contains(&part);
    let load = Load {
        rounds: arguments.rounds.get(),
        gets: arguments.gets.get(),
        posts: arguments.posts.get(),
        connections: arguments.connections.get(),
    };

    let mut figures = Figures::default();
    let mut failures = Vec::new();
    let mut take = |part: &str, outcome: Result<()>| {
        if let Err(failure) = outcome {
            eprintln!("error: {part}: {failure}");
            failures.push(format!("{part} could not be measured: {failure}"));
        }
    };
    if wanted(Part::Requests) {
        take("requests", versus::measure(workspace, &load, &mut figures));
    }
    if wanted(Part::Sample) {
        take("the sample", sample::measure(workspace, &mut figures));
    }
    if wanted(Part::Durable) {
        take("durable work", durable::measure(workspace, &mut figures));
    }
    if wanted(Part::Buses) {
        take("event buses", buses::measure(workspace, &mut figures));
    }
    if wanted(Part::Cached) {
        take("the cache", clients::measure_cached(workspace, &mut figures));
    }
    if wanted(Part::Commits) {
        take("commits on MongoDB", clients::measure_commits(workspace, &mut figures));
    }
    if wanted(Part::Dispatch) {
        take("dispatch", dispatch::measure(workspace, &mut figures));
    }

    println!("\n{}", figures.table());
    if arguments.save {
        report::save(workspace, &machine, &figures)?;
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}
