//! The chore itself: build, measure each part, print the table, keep it.

use std::num::NonZeroUsize;

use clap::ValueEnum as _;

use crate::bench::machine::Machine;
use crate::bench::report::{self, Figures, Report};
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
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Write the figures into docs/benchmarks.md, beside what it has of parts that are not measured
    #[arg(long)]
    save: bool,
}

/// What can be measured by itself, in the order of the page.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// CPU of a request beside the raw program
    Requests,
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
    /// Dispatch, behaviours and scopes in nanoseconds, by criterion
    Dispatch,
}

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Sample => "sample",
            Self::Durable => "durable",
            Self::Buses => "buses",
            Self::Cached => "cached",
            Self::Commits => "commits",
            Self::Dispatch => "dispatch",
        }
    }

    fn measure(self, workspace: &Workspace, load: &Load) -> Result<Figures> {
        let mut figures = Figures::default();
        match self {
            Self::Requests => versus::measure(workspace, load, &mut figures),
            Self::Sample => sample::measure(workspace, &mut figures),
            Self::Durable => durable::measure(workspace, &mut figures),
            Self::Buses => buses::measure(workspace, &mut figures),
            Self::Cached => clients::measure_cached(workspace, &mut figures),
            Self::Commits => clients::measure_commits(workspace, &mut figures),
            Self::Dispatch => dispatch::measure(workspace, &mut figures),
        }?;
        Ok(figures)
    }
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
    let load = Load {
        rounds: arguments.rounds.get(),
        gets: arguments.gets.get(),
        posts: arguments.posts.get(),
        connections: arguments.connections.get(),
    };

    let mut report = Report::default();
    let mut failures = Vec::new();
    for part in Part::value_variants() {
        if !arguments.only.is_empty() && !arguments.only.contains(part) {
            continue;
        }
        match part.measure(workspace, &load) {
            Ok(figures) => report.add(part.name(), figures),
            Err(failure) => {
                eprintln!("error: {}: {failure}", part.name());
                failures.push(format!("{} could not be measured: {failure}", part.name()));
            }
        }
    }

    println!("\n{}", report.table());
    if arguments.save {
        let parts: Vec<_> = Part::value_variants().iter().map(|part| part.name()).collect();
        report::save(workspace, &machine, &parts, &report)?;
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}
