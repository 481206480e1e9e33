//! Durable work as operators see it: what failed for good, what waits and runs, who does it, who wants what.

use std::fmt;
use std::sync::Arc;

use clap::{Args, Subcommand};
use neuroglia_core::data::Store;
use neuroglia_core::error::{Error, Result};
use neuroglia_core::messaging::Wake;
use neuroglia_core::work::{Revision, WorkFilter, WorkRecord, WorkState};
use uuid::Uuid;

use super::{AdminCommand, AdminContext};

/// How many pieces of work are read in one go.
const PAGE: u32 = 500;

/// The states of work that nobody tries again by itself.
const DEAD: [WorkState; 2] = [WorkState::Dead, WorkState::Parked];

fn store(context: &AdminContext) -> Result<Arc<dyn Store>> {
    let store = context.scope().find::<dyn Store>()?;
    store.ok_or_else(|| Error::invalid("store.none", "the application has no store, and so no durable work"))
}

/// Lists, shows, edits, replays and deletes work that failed for good or is parked.
#[derive(Args)]
pub(super) struct DeadLetters {
    #[command(subcommand)]
    action: DeadLetterAction,
}

#[derive(Subcommand)]
enum DeadLetterAction {
    /// List them, oldest first
    List(Which),
    /// Show one whole: its envelope and the chain of its errors
    Show { id: Uuid },
    /// Give one another payload, read from standard input as one line of JSON
    Edit { id: Uuid },
    /// Have them tried again, from the first attempt
    Replay(Chosen),
    /// Forget them
    Delete(Chosen),
}

/// A choice of work.
#[derive(Args, Clone)]
struct Which {
    /// Only those of this consumer or kind of job
    #[arg(long)]
    kind: Option<String>,
    /// Only those of this queue
    #[arg(long)]
    queue: Option<String>,
    /// Only those in this state; several may be named
    #[arg(long)]
    state: Vec<WorkState>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Some work, by id, or all of a kind.
#[derive(Args)]
#[group(required = true)]
struct Chosen {
    /// These
    ids: Vec<Uuid>,
    /// All
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// All of this consumer or kind of job
    #[arg(long, conflicts_with = "ids")]
    kind: Option<String>,
}

impl AdminCommand for DeadLetters {
    const NAME: &'static str = "dead-letters";
    const ABOUT: &'static str = "List, show, edit, replay or delete work that failed for good";

    async fn run(self, context: &AdminContext) -> Result<()> {
        let store = store(context)?;
        match self.action {
            DeadLetterAction::List(which) => {
                let states = if which.state.is_empty() { DEAD.to_vec() } else { which.state.clone() };
                list(context, &*store, which, states).await
            }
            DeadLetterAction::Show { id } => show(context, &*store, id).await,
            DeadLetterAction::Edit { id } => {
                let payload = context.read_line().await?;
                serde_json::from_str::<serde::de::IgnoredAny>(&payload).map_err(|problem| {
                    Error::invalid("payload", format!("the payload is not JSON: {problem}"))
                })?;
                revise(context, &*store, id, &Revision::Edit { payload }, "edited").await
            }
            DeadLetterAction::Replay(chosen) => {
                revise_chosen(context, &*store, chosen, &Revision::Replay, "replayed").await
            }
            DeadLetterAction::Delete(chosen) => {
                revise_chosen(context, &*store, chosen, &Revision::Delete, "deleted").await
            }
        }
    }
}

/// Lists and shows work in any state, and calls it off.
#[derive(Args)]
pub(super) struct Work {
    #[command(subcommand)]
    action: WorkAction,
}

#[derive(Subcommand)]
enum WorkAction {
    /// List it, oldest first
    List(Which),
    /// Show one piece whole
    Show { id: Uuid },
    /// Call one piece off: at once when it waits, at its next look when it runs
    Cancel { id: Uuid },
}

impl AdminCommand for Work {
    const NAME: &'static str = "work";
    const ABOUT: &'static str = "List, show or call off durable work";

    async fn run(self, context: &AdminContext) -> Result<()> {
        let store = store(context)?;
        match self.action {
            WorkAction::List(which) => {
                let states = which.state.clone();
                list(context, &*store, which, states).await
            }
            WorkAction::Show { id } => show(context, &*store, id).await,
            WorkAction::Cancel { id } => revise(context, &*store, id, &Revision::Cancel, "called off").await,
        }
    }
}

/// Lists the processes that say that they live.
#[derive(Args)]
pub(super) struct Nodes {}

impl AdminCommand for Nodes {
    const NAME: &'static str = "nodes";
    const ABOUT: &'static str = "List the processes that share the store";

    async fn run(self, context: &AdminContext) -> Result<()> {
        for record in store(context)?.nodes().await? {
            let state = if record.node.is_draining { "ending" } else { "alive" };
            context.print(&format!(
                "{}  {:<9}  {state}  {}  since {}  heard of {}",
                record.node.id, record.node.role, record.node.host, record.started_at, record.heartbeat_at
            ))?;
        }
        Ok(())
    }
}

/// Lists who wants which events, and takes the wishes of a consumer back that is no more.
#[derive(Args)]
pub(super) struct Subscriptions {
    #[command(subcommand)]
    action: SubscriptionAction,
}

#[derive(Subcommand)]
enum SubscriptionAction {
    /// List them
    List,
    /// Give a consumer that no release has any more no further events
    Remove { consumer: String },
}

impl AdminCommand for Subscriptions {
    const NAME: &'static str = "subscriptions";
    const ABOUT: &'static str = "List who wants which events, or remove a consumer that is no more";

    async fn run(self, context: &AdminContext) -> Result<()> {
        let store = store(context)?;
        match self.action {
            SubscriptionAction::List => {
                for subscription in store.subscriptions().await? {
                    context.print(&format!(
                        "{:<24}  {:<32}  {}",
                        subscription.consumer, subscription.event, subscription.queue
                    ))?;
                }
                Ok(())
            }
            SubscriptionAction::Remove { consumer } => {
                if store.unsubscribe(&consumer).await? {
                    return context.print(&format!("{consumer} gets no further events"));
                }
                Err(Error::not_found("consumer", consumer))
            }
        }
    }
}

async fn list(context: &AdminContext, store: &dyn Store, which: Which, states: Vec<WorkState>) -> Result<()> {
    let mut filter = WorkFilter { states, queue: which.queue, kind: which.kind, ..WorkFilter::default() };
    let mut left = which.limit;
    while left > 0 {
        filter.limit = left.min(PAGE);
        let page = store.list_work(&filter).await?;
        let Some(last) = page.last() else { break };
        filter.after = last.seq;
        left -= u32::try_from(page.len()).unwrap_or(left).min(left);
        for record in &page {
            context.print(&if which.json { json(record)? } else { line(record) })?;
        }
    }
    Ok(())
}

fn json(record: &WorkRecord) -> Result<String> {
    serde_json::to_string(record).map_err(Error::internal)
}

fn line(record: &WorkRecord) -> String {
    let error = record.failures.last().map_or("", |failure| failure.error.lines().next().unwrap_or_default());
    let error: String = error.chars().take(100).collect();
    format!(
        "{}  {:<9}  {:<24}  {}/{}  {}  {error}",
        record.id,
        record.state.name(),
        record.kind,
        record.attempt,
        record.attempts_max,
        record.created_at
    )
}

async fn show(context: &AdminContext, store: &dyn Store, id: Uuid) -> Result<()> {
    let filter = WorkFilter { id: Some(id), limit: 1, ..WorkFilter::default() };
    let record = store.list_work(&filter).await?.pop().ok_or_else(|| Error::not_found("work", id))?;
    let mut tree = serde_json::to_value(&record).map_err(Error::internal)?;
    // What is JSON is shown as JSON, not as a text with quotation marks in it.
    for field in ["payload", "progress", "result"] {
        if let Some(parsed) = tree[field].as_str().and_then(|text| serde_json::from_str(text).ok()) {
            tree[field] = parsed;
        }
    }
    context.print(&serde_json::to_string_pretty(&tree).map_err(Error::internal)?)
}

async fn revise(
    context: &AdminContext,
    store: &dyn Store,
    id: Uuid,
    revision: &Revision,
    done: &str,
) -> Result<()> {
    let revised = store.revise(id, revision).await;
    ring(context, revision)?;
    if revised? {
        return context.print(&format!("{done} {id}"));
    }
    let states: Vec<_> = revision.from_states().iter().map(|state| state.name()).collect();
    Err(Error::conflict("work.state", format!("there is no work {id} that is {}", states.join(" or "))))
}

async fn revise_chosen(
    context: &AdminContext,
    store: &dyn Store,
    chosen: Chosen,
    revision: &Revision,
    done: &str,
) -> Result<()> {
    if chosen.ids.is_empty() {
        let dead = WorkFilter { states: DEAD.to_vec(), kind: chosen.kind, ..WorkFilter::default() };
        let revised = revise_all(context, dead, revision).await?;
        return context.print(&format!("{done} {revised}"));
    }
    for id in chosen.ids {
        revise(context, store, id, revision, done).await?;
    }
    Ok(())
}

/// Rings for work that may be begun now: what is replayed, or what was behind what is called off. Whoever hears it in
/// other processes is told when the command ends.
fn ring(context: &AdminContext, revision: &Revision) -> Result<()> {
    if matches!(revision, Revision::Replay | Revision::Cancel) {
        context.scope().get::<Wake>()?.work();
    }
    Ok(())
}

/// How much work [`revise_all`] has revised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Revised {
    /// So many pieces.
    pub revised: u64,
    /// So many stay as they are, because another with the same key is not done.
    pub refused: u64,
}

impl fmt::Display for Revised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.revised)?;
        match self.refused {
            0 => Ok(()),
            refused => write!(f, "; {refused} stay, because another with the same key is not done"),
        }
    }
}

/// Does this to all work that matches, whatever the filter's limit, and tells all processes of what may be begun now.
///
/// First all is chosen, then each is revised: what is replayed and fails at once comes later in the order, and is not
/// chosen again. What cannot be replayed because another job with its key lives stays as it is, and keeps nobody else from
/// it.
///
/// # Errors
/// When the store does not answer; what was revised by then stays so.
pub async fn revise_all(
    context: &AdminContext,
    mut filter: WorkFilter,
    revision: &Revision,
) -> Result<Revised> {
    let store = store(context)?;
    filter.limit = PAGE;
    let mut chosen = Vec::new();
    loop {
        let page = store.list_work(&filter).await?;
        let Some(last) = page.last() else { break };
        filter.after = last.seq;
        chosen.extend(page.iter().map(|record| record.id));
    }
    let mut all = Revised::default();
    let revising = async {
        for id in chosen {
            match store.revise(id, revision).await {
                Ok(revised) => all.revised += u64::from(revised),
                Err(error) if error.is_duplicate() => all.refused += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    let outcome = revising.await;
    ring(context, revision)?;
    outcome.map(|()| all)
}
