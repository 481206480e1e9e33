//! Durable work: how much of it, how soon, at which price, and what a process costs that has none.
//!
//! A PostgreSQL server of its own is started for it, which waits for the disk as a server does that must not lose
//! anything, and each program gets a new database.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bench::load::{self, Body, Exchange};
use crate::bench::report::{Figures, What, median};
use crate::bench::sample::Instance;
use crate::bench::server::{Server, free_port, pause};
use crate::bench::wire::Wire;
use crate::services::Postgres;
use crate::workspace::{Result, Workspace, empty, read, show};

const PACKAGE: &str = "neuroglia-benches";
const SAMPLE: &str = "marios-pizzeria";

/// How many orders a run places, over how many connections, and how many runs there are.
const ORDERS: usize = 4_000;
const CONNECTIONS: usize = 16;
const ROUNDS: usize = 3;

/// How long the worker has been ready when its idleness is looked at, and for how long.
const SETTLE: Duration = Duration::from_secs(12);
const IDLE: Duration = Duration::from_secs(30);

/// How many orders are placed one by one to count their round trips.
const COUNTED: usize = 40;

/// How long what was ordered may take to be sent, or done.
const PATIENCE: Duration = Duration::from_secs(120);

/// Orders of a thousand customers, so that those under way are not of the same one.
fn orders_at(path: &str) -> Vec<Exchange> {
    let order = |number: u32| {
        let customer = format!(
            r#"{{"name":"Ada","phone":"+1 555 1{number:03}","email":"ada{number}@example.com","address":"1 Main St"}}"#
        );
        let lines = r#"[{"pizza_id":"margherita","size":"medium","toppings":["olives"],"quantity":2}]"#;
        let order = format!(
            r#"{{"customer":{customer},"lines":{lines},"payment_method":"cash","notes":"ring twice"}}"#
        );
        Exchange::post(path, &order, Body::With("\"status\":\"pending\""))
    };
    (0..1_000).map(order).collect()
}

/// Statements of relay, node and listener, which run beside every request: each has one of these in its text.
const BESIDE: [&str; 5] = ["claimed_by", "ng_subscription", "ng_node", "pg_notify", "LISTEN"];

/// Measures each part of durable work.
///
/// # Errors
/// When something cannot be built, does not start, or answers wrongly.
pub(super) fn measure(workspace: &Workspace, figures: &mut Figures) -> Result<()> {
    let benches = workspace.build(&["--release", "--package", PACKAGE, "--bins"])?;
    let mut sample = workspace.build(&["--release", "--package", SAMPLE, "--bins"])?;
    let bench = |name: &str| benches.get(name).ok_or_else(|| format!("{PACKAGE} has no executable `{name}`"));
    let sample = sample.remove(SAMPLE).ok_or_else(|| format!("there is no executable `{SAMPLE}`"))?;
    let folder = workspace.target.join("bench/durable");
    empty(&folder)?;
    let server = Postgres::durable()?;
    let on_sqlite = |name: &str| format!("sqlite://{}", folder.join(name).display());

    let runs = [on_sqlite("work.db"), server.database("work")?];
    throughput(bench("durable")?, &runs, figures)?;
    let runs = [on_sqlite("claims.db"), server.database("claims")?];
    growth(bench("claims")?, &runs, figures)?;
    orders(&server, &sample, bench("inserts")?, figures)?;
    round_trips(&server, &sample, figures)?;
    idleness(&server, &sample, figures)
}

/// Runs a program that prints one JSON object, on each database; gives the objects.
fn figures_of(executable: &Path, urls: &[String]) -> Result<Vec<Value>> {
    let run = |url: &String| {
        let mut command = Command::new(executable);
        printed(command.env_clear().env("DATABASE_URL", url))
    };
    urls.iter().map(run).collect()
}

/// The JSON object that a program prints.
pub(super) fn printed(command: &mut Command) -> Result<Value> {
    let text = read(command)?;
    serde_json::from_str(&text).map_err(|error| format!("`{}` printed `{text}`: {error}", show(command)))
}

pub(super) fn number(object: &Value, name: &str) -> Result<f64> {
    object[name].as_f64().ok_or_else(|| format!("`{name}` is missing in {object}"))
}

/// A table of some figures, with a row for each run.
pub(super) fn detail(
    figures: &mut Figures,
    title: &str,
    runs: &[Value],
    columns: &[(&str, &str)],
) -> Result<()> {
    let heads: Vec<_> = columns.iter().map(|(_, head)| *head).collect();
    let mut table =
        vec![format!("| engine | {} |", heads.join(" | ")), format!("|---|{}", "---|".repeat(heads.len()))];
    for run in runs {
        let cells = columns.iter().map(|(name, _)| number(run, name).map(|figure| figure.to_string()));
        let cells = cells.collect::<Result<Vec<_>>>()?;
        let engine = run["engine"].as_str().unwrap_or_default();
        table.push(format!("| {engine} | {} |", cells.join(" | ")));
    }
    println!("\n{title}\n\n{}", table.join("\n"));
    figures.detail(title.to_owned(), table.join("\n"));
    Ok(())
}

fn throughput(executable: &Path, urls: &[String; 2], figures: &mut Figures) -> Result<()> {
    let runs = figures_of(executable, urls)?;
    let [sqlite, postgres] = &*runs else { return Err("each engine has one run".to_owned()) };
    figures.record(What::Messages, number(postgres, "messages_per_s")?);
    figures.record(What::Latency, number(postgres, "latency_p50_ms")?);
    figures.record(What::LatencyTail, number(postgres, "latency_p99_ms")?);
    figures.record(What::Jobs, number(postgres, "jobs_per_s")?);
    figures.record(What::SqliteMessages, number(sqlite, "messages_per_s")?);
    figures.record(What::SqliteJobs, number(sqlite, "jobs_per_s")?);
    let columns = [
        ("commits_per_s", "commits/s, with one event each"),
        ("messages_per_s", "events/s from a full outbox"),
        ("flowing_per_s", "events/s while they are committed"),
        ("latency_p50_ms", "commit to handled, p50 ms"),
        ("latency_p99_ms", "p99 ms"),
        ("jobs_per_s", "jobs/s"),
    ];
    detail(figures, "Events and jobs", &runs, &columns)
}

fn growth(executable: &Path, urls: &[String; 2], figures: &mut Figures) -> Result<()> {
    let runs = figures_of(executable, urls)?;
    let mut worst: f64 = 0.0;
    for run in &runs {
        for waiting in ["many_us", "behind_us", "unknown_us"] {
            worst = worst.max(number(run, waiting)? / number(run, "few_us")?);
        }
    }
    figures.record(What::Growth, worst);
    let columns = [
        ("few_us", "1,000 waiting, µs"),
        ("many_us", "1,000,000 waiting, µs"),
        ("behind_us", "and 1,000,000 behind one head, µs"),
        ("unknown_us", "and 1,000,000 of an unknown kind, µs"),
    ];
    detail(figures, "A claim of four, median of 200", &runs, &columns)
}

/// The sample with a menu, on a new database.
fn pizzeria(server: &Postgres, sample: &Path, name: &str) -> Result<Instance> {
    let instance = Instance::migrated(sample.to_owned(), server.database(name)?)?;
    read(instance.command(free_port()?).args(["admin", "seed"]))?;
    Ok(instance)
}

/// What the server with this database answers to a question for a number.
fn ask(url: &str, sql: &str) -> Result<u64> {
    let text = Postgres::sql(url, sql)?;
    text.trim().parse().map_err(|error| format!("`{sql}` was answered with `{text}`: {error}"))
}

fn wait_for_none(url: &str, sql: &str) -> Result<()> {
    let began = Instant::now();
    while ask(url, sql)? > 0 {
        if began.elapsed() > PATIENCE {
            return Err(format!("`{sql}` was never 0"));
        }
        pause(Duration::from_millis(20));
    }
    Ok(())
}

/// The CPU time of a program for one order, in microseconds, with all that comes of it.
fn cost(server: Server, path: &str, url: &str, left: &str) -> Result<f64> {
    let exchanges = orders_at(path);
    // So that the customers are known.
    load::run(server.address(), CONNECTIONS, &exchanges, exchanges.len())?;
    wait_for_none(url, left)?;
    let before = server.cpu_time()?;
    load::run(server.address(), CONNECTIONS, &exchanges, ORDERS)?;
    wait_for_none(url, left)?;
    let used = server.cpu_time()?.saturating_sub(before);
    server.stop()?;
    Ok(used.as_secs_f64() * 1e6 / ORDERS as f64)
}

fn orders(server: &Postgres, sample: &Path, inserts: &PathBuf, figures: &mut Figures) -> Result<()> {
    const UNSENT: &str = "SELECT count(*) FROM ng_outbox";
    const UNDONE: &str =
        "SELECT (SELECT count(*) FROM ng_outbox) + (SELECT count(*) FROM ng_work WHERE state <> 'done')";
    let title = format!(
        "`POST /orders` on PostgreSQL: {ORDERS} orders over {CONNECTIONS} connections, CPU µs an order"
    );
    let mut table = vec![
        "| round | axum + sqlx, two inserts | `web`, events sent | ratio | `all`, events handled |"
            .to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let port = free_port()?;
        let url = server.database(&format!("inserts_{round}"))?;
        let mut command = Command::new(inserts);
        command.env_clear().env("DATABASE_URL", &url).env("PORT", port.to_string());
        let floor = cost(Server::start(command, port, "/health")?, "/orders", &url, "SELECT 0")?;
        let instance = pizzeria(server, sample, &format!("web_{round}"))?;
        let ours = cost(instance.serve("web")?, "/api/v1/orders", instance.database_url(), UNSENT)?;
        let instance = pizzeria(server, sample, &format!("all_{round}"))?;
        let whole = cost(instance.serve("all")?, "/api/v1/orders", instance.database_url(), UNDONE)?;
        table.push(format!("| {round} | {floor:.0} | {ours:.0} | {:.3} | {whole:.0} |", ours / floor));
        ratios.push(ours / floor);
    }
    println!("\n{title}\n\n{}", table.join("\n"));
    figures.record(What::Order, median(&ratios).ok_or("there was no round")?);
    figures.detail(title, table.join("\n"));
    Ok(())
}

/// The URL of the same database, through the proxy.
fn through(wire: &Wire, server: &Postgres, url: &str) -> String {
    let direct = format!(":{}/", server.port());
    format!("{}?sslmode=disable", url.replace(&direct, &format!(":{}/", wire.port())))
}

fn round_trips(server: &Postgres, sample: &Path, figures: &mut Figures) -> Result<()> {
    let wire = Wire::to(server.port())?;
    let instance = pizzeria(server, sample, "round_trips")?;
    let url = through(&wire, server, instance.database_url());
    let web = instance.on(url).serve("web")?;
    let exchanges = orders_at("/api/v1/orders");
    // One after another, on a connection that has prepared everything.
    load::run(web.address(), 1, &exchanges, COUNTED)?;
    wait_for_none(instance.database_url(), "SELECT count(*) FROM ng_outbox")?;
    wire.take();
    load::run(web.address(), 1, &exchanges, COUNTED)?;
    let asked = wire.take();
    web.stop()?;

    let own = |sql: &&String| !BESIDE.iter().any(|beside| sql.contains(beside));
    let mut counts: Vec<(String, usize)> = Vec::new();
    for sql in asked.iter().filter(own) {
        let short = shorten(sql);
        match counts.iter_mut().find(|(known, _)| *known == short) {
            Some((_, count)) => *count += 1,
            None => counts.push((short, 1)),
        }
    }
    let all: usize = counts.iter().map(|(_, count)| count).sum();
    figures.record(What::RoundTrips, all as f64 / COUNTED as f64);
    let mut table = vec!["| round trip | times an order |".to_owned(), "|---|---|".to_owned()];
    let row = |(sql, count): &(String, usize)| format!("| `{sql}` | {:.2} |", *count as f64 / COUNTED as f64);
    table.extend(counts.iter().map(row));
    let title = "What `POST /orders` asks PostgreSQL, of its own accord".to_owned();
    println!("\n{title}\n\n{}", table.join("\n"));
    figures.detail(title, table.join("\n"));
    Ok(())
}

/// The beginning of a statement, on one line of a table.
fn shorten(sql: &str) -> String {
    let words: Vec<_> = sql.split_whitespace().collect();
    words.join(" ").replace('|', "\\|").chars().take(90).collect()
}

fn idleness(server: &Postgres, sample: &Path, figures: &mut Figures) -> Result<()> {
    let wire = Wire::to(server.port())?;
    let instance = pizzeria(server, sample, "idle")?;
    let worker = instance.on(through(&wire, server, instance.database_url())).operate("worker")?;
    pause(SETTLE);
    wire.take();
    pause(IDLE);
    let asked = wire.take().len();
    worker.stop()?;
    figures.record(What::Idle, asked as f64 / IDLE.as_secs_f64());
    println!("\nan idle worker: {asked} round trips in {IDLE:?}");
    Ok(())
}
