//! Events through brokers: what the relay costs beside the bare client, and how many come through to a handler.
//!
//! Each broker keeps what it confirms, as the tests' servers do. The relay's outbox is in memory, so that what is compared is
//! the way to the broker; the way to the handler is on PostgreSQL.

use std::process::Command;

use crate::bench::durable::{detail, number, printed};
use crate::bench::report::{Figures, What};
use crate::services::{Broker, Postgres};
use crate::workspace::{Result, Workspace, empty};

const PACKAGE: &str = "neuroglia-benches";

/// Measures both brokers.
///
/// # Errors
/// When something cannot be built, does not start, or answers wrongly.
pub(super) fn measure(workspace: &Workspace, figures: &mut Figures) -> Result<()> {
    let benches = workspace.build(&["--release", "--package", PACKAGE, "--bins"])?;
    let bench = |name: &str| benches.get(name).ok_or_else(|| format!("{PACKAGE} has no executable `{name}`"));
    let folder = workspace.target.join("bench/buses");
    empty(&folder)?;
    let brokers = [Broker::rabbitmq(&folder)?, Broker::nats(&folder)?];
    let mut runs = Vec::new();
    for (broker, what) in brokers.iter().zip([What::PublishRabbit, What::PublishNats]) {
        let mut command = Command::new(bench("publish")?);
        let run = printed(command.env_clear().env("EVENT_BUS_URL", &broker.url))?;
        figures.record(what, number(&run, "ratio")?);
        runs.push(run);
    }
    let columns = [
        ("bare_per_s", "bare client, events/s"),
        ("relay_per_s", "through the relay, events/s"),
        ("ratio", "ratio"),
    ];
    detail(figures, "Publish with confirm, batches of 100", &runs, &columns)?;

    let server = Postgres::durable()?;
    let mut runs = Vec::new();
    for (broker, name) in brokers.iter().zip(["rabbitmq", "nats"]) {
        let mut command = Command::new(bench("durable")?);
        command.env_clear().env("DATABASE_URL", server.database(name)?).env("EVENT_BUS_URL", &broker.url);
        let mut run = printed(&mut command)?;
        run["engine"] = name.into();
        runs.push(run);
    }
    figures.record(What::ThroughRabbit, number(&runs[0], "messages_per_s")?);
    let columns = [
        ("messages_per_s", "events/s from a full outbox"),
        ("flowing_per_s", "events/s while they are committed"),
        ("latency_p50_ms", "commit to handled, p50 ms"),
        ("latency_p99_ms", "p99 ms"),
    ];
    detail(figures, "Events through a broker to a handler, PostgreSQL", &runs, &columns)
}
