//! A request through the whole framework, beside the same request through a raw program.
//!
//! `benches/` holds the two programs. Each run is a fresh process, so that neither profits from
//! what happened to the other, and the two alternate, so that a change on the machine meets both.
//! A round is several runs of each, since the same program costs a tenth more or less from one
//! process to the next.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::bench::load::{self, Body, Exchange};
use crate::bench::process::{self, Processors};
use crate::bench::report::{Figures, What, median, percent};
use crate::bench::server::{Server, free_port};
use crate::workspace::{Result, Workspace};

/// The raw program, and the same with the framework.
const FLOOR: &str = "floor";
const OURS: &str = "ours";

/// How often each of them is started in a round, which share its requests.
const STARTS: usize = 4;

/// How much is sent.
pub(super) struct Load {
    pub(super) rounds: usize,
    pub(super) gets: usize,
    pub(super) posts: usize,
    pub(super) connections: usize,
}

/// One kind of request.
struct Case {
    what: What,
    title: &'static str,
    exchanges: Vec<Exchange>,
    requests: usize,
    /// Whether each request shall leave a line on stdout.
    logged: bool,
}

/// One program under one load, or the mean of several such.
#[derive(Default)]
struct Run {
    /// CPU time of the server for 100,000 requests, in seconds.
    cpu_seconds: f64,
    requests_per_second: f64,
    /// The share of the machine's processors that neither server nor generator had.
    others: f64,
}

/// Loads both programs in turn with each kind of request.
///
/// # Errors
/// When a program cannot be built, does not start, or answers wrongly.
pub(super) fn measure(workspace: &Workspace, load: &Load, figures: &mut Figures) -> Result<()> {
    let programs = ["--bin", FLOOR, "--bin", OURS];
    let package = ["--release", "--package", "neuroglia-benches"];
    let built = workspace.build(&[&package[..], &programs[..]].concat())?;
    let executable =
        |name: &str| built.get(name).ok_or_else(|| format!("neuroglia-benches has no executable `{name}`"));
    let (floor, ours) = (executable(FLOOR)?, executable(OURS)?);
    for case in cases(load) {
        let title = format!(
            "{}: {} requests to {STARTS} processes over {} connections each",
            case.title, case.requests, load.connections
        );
        println!("\n{title}");
        let mut table = vec![
            "| round | floor, CPU s / 100,000 | ours, CPU s / 100,000 | ratio | floor, requests/s | ours, requests/s | CPUs used by others |"
                .to_owned(),
            "|---|---|---|---|---|---|---|".to_owned(),
        ];
        println!("{}\n{}", table[0], table[1]);
        let mut ratios = Vec::with_capacity(load.rounds);
        for round in 1..=load.rounds {
            let (floor, ours) = case.round(floor, ours, load.connections)?;
            let ratio = ours.cpu_seconds / floor.cpu_seconds;
            let row = format!(
                "| {round} | {:.3} | {:.3} | {ratio:.3} | {:.0} | {:.0} | {} |",
                floor.cpu_seconds,
                ours.cpu_seconds,
                floor.requests_per_second,
                ours.requests_per_second,
                percent(floor.others.max(ours.others)),
            );
            println!("{row}");
            table.push(row);
            ratios.push(ratio);
        }
        let ratio = median(&ratios).ok_or("there was no round")?;
        println!("median of the ratios: {ratio:.3}");
        figures.record(case.what, ratio);
        figures.detail(title, table.join("\n"));
    }
    Ok(())
}

fn cases(load: &Load) -> [Case; 3] {
    let get = |what, title, logged| Case { what, title, exchanges: pizzas(), requests: load.gets, logged };
    [
        get(What::Get, "GET pizza, `LOG=off`", false),
        Case {
            what: What::Post,
            title: "POST order, `LOG=off`",
            exchanges: vec![order()],
            requests: load.posts,
            logged: false,
        },
        get(What::GetLogged, "GET pizza, `LOG=on`", true),
    ]
}

/// A request for each pizza that the programs have.
fn pizzas() -> Vec<Exchange> {
    let pizza = |number: u32| {
        let body =
            format!("{{\"id\":\"p{number}\",\"name\":\"Pizza {number}\",\"price_cents\":{}}}", 999 + number);
        Exchange::get(&format!("/pizzas/p{number}"), body)
    };
    (0..1000).map(pizza).collect()
}

/// An order of two lines; the server numbers it.
fn order() -> Exchange {
    let request =
        r#"{"customer":"Ada","lines":[{"pizza_id":"p1","quantity":2},{"pizza_id":"p2","quantity":1}]}"#;
    let (first, second) = (2 * 1000, 1001);
    let after = format!(
        ",\"customer\":\"Ada\",\"total_cents\":{},\"lines\":[\
         {{\"pizza_id\":\"p1\",\"quantity\":2,\"price_cents\":{first}}},\
         {{\"pizza_id\":\"p2\",\"quantity\":1,\"price_cents\":{second}}}]}}",
        first + second
    );
    Exchange::post("/orders", request, Body::Numbered { before: "{\"id\":", after })
}

impl Case {
    /// Loads both programs in turn, each as several processes.
    fn round(&self, floor: &Path, ours: &Path, connections: usize) -> Result<(Run, Run)> {
        let mut means = (Run::default(), Run::default());
        for _ in 0..STARTS {
            means.0.add(&self.run(floor, connections)?);
            means.1.add(&self.run(ours, connections)?);
        }
        Ok(means)
    }

    /// Starts the program, warms it up, and measures what its share of the load costs it.
    fn run(&self, executable: &Path, connections: usize) -> Result<Run> {
        let requests = self.requests / STARTS;
        let port = free_port()?;
        let mut command = Command::new(executable);
        command.env_clear().env("PORT", port.to_string());
        command.env("LOG", if self.logged { "on" } else { "off" });
        let server = Server::start(command, port, "/health")?;
        load::run(server.address(), connections, &self.exchanges, (requests / 4).max(connections))?;

        let before = Moment::of(&server)?;
        let began = Instant::now();
        load::run(server.address(), connections, &self.exchanges, requests)?;
        let elapsed = began.elapsed();
        let after = Moment::of(&server)?;
        server.stop()?;

        let lines = after.lines - before.lines;
        let awaited = if self.logged { requests as u64 } else { 0 };
        if lines != awaited {
            return Err(format!("{}: {lines} lines were logged instead of {awaited}", self.title));
        }
        let used = after.server.saturating_sub(before.server);
        let ours = used + after.generator.saturating_sub(before.generator);
        Ok(Run {
            cpu_seconds: used.as_secs_f64() * 100_000.0 / requests as f64,
            requests_per_second: requests as f64 / elapsed.as_secs_f64(),
            others: after.processors.share_of_others(&before.processors, ours),
        })
    }
}

impl Run {
    /// Counts one of the runs of a round.
    fn add(&mut self, run: &Self) {
        let part = 1.0 / STARTS as f64;
        self.cpu_seconds += run.cpu_seconds * part;
        self.requests_per_second += run.requests_per_second * part;
        self.others += run.others * part;
    }
}

/// The meters, read while the server rests.
struct Moment {
    lines: u64,
    server: Duration,
    generator: Duration,
    processors: Processors,
}

impl Moment {
    fn of(server: &Server) -> Result<Self> {
        Ok(Self {
            lines: server.lines_at_rest()?,
            server: server.cpu_time()?,
            generator: process::cpu_time(std::process::id())?,
            processors: Processors::now()?,
        })
    }
}
