//! What is in a town's database, read behind the back of its processes.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use neuroglia::clock::Timestamp;
use neuroglia::data::{Condition, Document, Path, Select, Store, Value};
use neuroglia::error::Result;
use neuroglia::id::Ids;
use neuroglia::work::{Depth, WorkFilter, WorkRecord, WorkState};
use serde::Deserialize;
use tokio::runtime::Runtime;

use crate::process::{PATIENCE, eventually};

/// What each order has as effects in the ledger, each once.
const EFFECTS: [&str; 3] = ["order.created", "mishap", "proof"];

/// What the pizzeria's own consumers make of each order, each once: an entry of the statistics, and one of the live feed.
const OWN_EFFECTS: [&str; 2] = ["statistics", "feed"];

/// The kind of work that never ends, because it comes ten times a second.
const TICKS: &str = "schedule:tick";

/// The job that asks the gateway what it has of a cancelled order.
const LOOKS: &str = "payment.give_back";

/// A way into the database.
pub(crate) struct Books {
    runtime: Runtime,
    store: Arc<dyn Store>,
    /// Effects that were found before. To look for all of them again, after each death, took longer than the recovery
    /// that is measured.
    seen: Mutex<HashSet<String>>,
}

/// How often the books must look quiet in a row.
const QUIET_LOOKS: usize = 5;

/// How many effects are looked for at once.
const LOOK: usize = 200;

/// An effect, as the ledger has it.
#[derive(Debug, Deserialize)]
struct Effect {
    id: String,
    /// By what it was done; once when there is one.
    runs: Vec<String>,
    /// When it was first done, by the store's clock.
    at: Timestamp,
}

/// A tick that was done.
pub(crate) struct Done {
    /// When it was due.
    pub(crate) due: Timestamp,
    /// When it was done, by the store's clock.
    pub(crate) at: Timestamp,
    /// How often.
    pub(crate) runs: usize,
}

impl Books {
    pub(crate) fn open(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let url = url.parse().expect("a URL");
        let store = runtime.block_on(neuroglia_backing::store::connect(&url)).expect("the database opens");
        Self { runtime, store, seen: Mutex::default() }
    }

    /// Asks until the database answers.
    pub(crate) fn ask<T, F: Future<Output = Result<T>>>(
        &self,
        mut ask: impl FnMut(Arc<dyn Store>) -> F,
    ) -> T {
        eventually("the database answers", || self.runtime.block_on(ask(Arc::clone(&self.store))).ok())
    }

    /// Waits until every one of these orders has all of its effects; how long it took since the moment.
    #[track_caller]
    pub(crate) fn wait_for_effects(&self, orders: &[String], since: Instant, within: Duration) -> Duration {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut missing: Vec<String> = orders
            .iter()
            .flat_map(|order| EFFECTS.iter().map(move |effect| format!("{effect}:{order}")))
            .filter(|effect| !seen.contains(effect))
            .collect();
        loop {
            let rest = missing.len().saturating_sub(LOOK);
            let found = self.of(&missing[rest..]);
            missing.retain(|effect| !found.contains(effect));
            seen.extend(found);
            if missing.is_empty() {
                return since.elapsed();
            }
            assert!(since.elapsed() < within, "after {within:?} there is no {missing:?}: {:#?}", self.live());
            // Some of those that were looked for are not there yet.
            if missing.len() > rest {
                std::thread::park_timeout(Duration::from_millis(20));
            }
        }
    }

    /// Those of these effects that are there.
    fn of(&self, effects: &[String]) -> HashSet<String> {
        let values = effects.iter().cloned().map(Value::Text).collect();
        let select = Select {
            collection: "proof_ledger",
            condition: Condition::In { path: Path::Id, values },
            sort: Vec::new(),
            limit: u32::MAX,
        };
        let found = self.ask(async |store| store.query(&select).await);
        found.into_iter().map(|document| document.id).collect()
    }

    /// Waits until there is this effect.
    pub(crate) fn wait_for(&self, effect: &str) {
        eventually(effect, || self.has(effect).then_some(()));
    }

    fn has(&self, effect: &str) -> bool {
        self.ask(async |store| store.load("proof_ledger", effect).await).is_some()
    }

    /// Waits until nothing is on its way, then checks that each accepted order is there, and that each order which is
    /// there has each of its effects once: in the ledger, in the live feed, and in what the statistics count. Gives how
    /// many orders there are.
    #[track_caller]
    pub(crate) fn assert_exactly_once(&self, accepted: &[String]) -> usize {
        let orders_now = || self.all("orders").into_iter().map(|order| order.id).collect::<BTreeSet<_>>();
        let mut deadline = None;
        // An order whose customer has hung up may come when it is quiet already, and what a broker still has makes no
        // sound here; then the books are read again.
        let (orders, expected, done, counted) = loop {
            let orders = orders_now();
            self.wait_until_quiet();
            let (expected, done, counted) = (effects_of(&orders), self.done(), self.counted());
            let is_whole = expected.iter().all(|effect| done.contains_key(effect));
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + 2 * PATIENCE);
            if orders == orders_now() && (is_whole || Instant::now() >= deadline) {
                break (orders, expected, done, counted);
            }
            std::thread::park_timeout(Duration::from_millis(50));
        };
        for order in accepted {
            assert!(orders.contains(order), "the accepted order {order} is lost");
        }
        for (effect, runs) in &done {
            assert_eq!(runs.len(), 1, "{effect} was done more than once, or by nobody: {runs:?}");
        }
        let found: BTreeSet<String> = done.into_keys().filter(|id| !id.starts_with("tick:")).collect();
        let lost: Vec<_> = expected.difference(&found).collect();
        let extra: Vec<_> = found.difference(&expected).collect();
        assert!(
            lost.is_empty() && extra.is_empty(),
            "lost: {lost:?}, of no order: {extra:?}, given up: {:#?}",
            self.given_up()
        );
        assert_eq!(counted, orders.len(), "the statistics count each order once");
        orders.len()
    }

    /// Waits until the outbox is empty and no work is live, for as long as it becomes less: how fast that goes is a matter
    /// of the machine and of the store.
    pub(crate) fn wait_until_quiet(&self) {
        let (mut before, mut deadline) = (u64::MAX, Instant::now() + PATIENCE);
        while !self.is_quiet() {
            let left = self.left();
            if left < before {
                deadline = Instant::now() + PATIENCE;
            }
            before = left;
            assert!(Instant::now() < deadline, "it does not become quiet: {:#?}", self.live());
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    /// Whether the outbox is empty and no work is live, at each of several looks. A store may count one state
    /// after another, so one look misses a piece that goes from a state which is still to be counted to one which was.
    pub(crate) fn is_quiet(&self) -> bool {
        (0..QUIET_LOOKS).all(|_| self.left() == 0)
    }

    /// How much is in the outbox and has still to be done.
    fn left(&self) -> u64 {
        let unsent = self.ask(async |store| store.outbox_depth().await).count;
        unsent + self.live_depths().iter().map(|depth| depth.count).sum::<u64>()
    }

    /// The content of every document of a collection.
    pub(crate) fn documents(&self, collection: &'static str) -> Vec<serde_json::Value> {
        let parse = |document: Document| serde_json::from_str(&document.body).expect("documents are JSON");
        self.all(collection).into_iter().map(parse).collect()
    }

    /// How many workers are taken to live.
    pub(crate) fn workers(&self) -> usize {
        let nodes = self.ask(async |store| store.nodes().await);
        nodes.iter().filter(|node| node.node.role == "worker").count()
    }

    /// Waits until so much of this kind runs.
    pub(crate) fn wait_for_running(&self, kind: &str, count: u64) {
        eventually("work runs", || {
            let depths = self.ask(async |store| store.depths().await);
            let running = |depth: &&Depth| depth.kind == kind && depth.state == WorkState::Running;
            depths.iter().find(running).filter(|depth| depth.count >= count).map(|_| ())
        });
    }

    /// Whether the database can be written. A process that is stopped in the middle of a write holds the lock of an
    /// SQLite file for as long as it is stopped.
    pub(crate) fn can_be_written(&self) -> bool {
        let asked = async {
            let lease = self.store.lease("proof", Ids::random().next_uuid(), Duration::from_millis(1));
            tokio::time::timeout(Duration::from_secs(1), lease).await
        };
        matches!(self.runtime.block_on(asked), Ok(Ok(_)))
    }

    /// What has still to be done, as the store counts it.
    pub(crate) fn live(&self) -> Vec<String> {
        self.live_depths().iter().map(|depth| format!("{depth:?}")).collect()
    }

    fn live_depths(&self) -> Vec<Depth> {
        let mut depths = self.ask(async |store| store.depths().await);
        depths.retain(|depth| depth.state.is_live() && depth.kind != TICKS && depth.count > 0);
        depths.retain(|depth| !self.is_for_later(depth));
        depths
    }

    /// Whether it is to ask the gateway once more, and was never begun: that is due when all of this is over.
    fn is_for_later(&self, depth: &Depth) -> bool {
        let is_another_look = |look: &WorkRecord| look.attempt == 0 && !look.payload.contains(r#""looks":0"#);
        depth.kind == LOOKS
            && depth.state == WorkState::Scheduled
            && self.work_of(LOOKS, &[WorkState::Scheduled]).iter().all(is_another_look)
    }

    /// Every effect by its id.
    fn effects(&self) -> BTreeMap<String, Effect> {
        let parse = |document: Document| {
            let effect: Effect = serde_json::from_str(&document.body).expect("the ledger is JSON");
            (document.id, effect)
        };
        self.all("proof_ledger").into_iter().map(parse).collect()
    }

    /// Every effect by its id, and by what it was done: what the ledger has, and what the pizzeria's own consumers made.
    fn done(&self) -> BTreeMap<String, Vec<String>> {
        let ledger = self.effects().into_iter();
        let mut done: BTreeMap<_, _> = ledger.map(|(id, effect)| (id, effect.runs)).collect();
        for entry in self.documents("feed_entries") {
            let text = |name: &str| entry[name].as_str().expect("an entry of the feed says it").to_owned();
            if text("event") == "order.created" {
                done.entry(format!("feed:{}", text("order_id"))).or_default().push(text("id"));
            }
        }
        for entry in self.all("statistics_entries") {
            let (_edition, order) = entry.id.split_once('.').expect("an edition, and an order");
            done.entry(format!("statistics:{order}")).or_default().push(entry.id);
        }
        done
    }

    /// How many orders the statistics count, in all parts of their sum; nobody has them rebuilt, so there is one edition.
    fn counted(&self) -> usize {
        let tallies = self.documents("statistics_tallies").into_iter();
        let orders = |tally: serde_json::Value| -> u64 {
            let statuses = tally["figures"]["statuses"].as_object().expect("sums by name");
            statuses.values().map(|orders| orders.as_u64().expect("a count")).sum()
        };
        let sum: u64 = tallies.filter(|tally| tally["day"].is_null()).map(orders).sum();
        usize::try_from(sum).expect("as many as there are documents")
    }

    /// The ticks that were done.
    pub(crate) fn ticks(&self) -> Vec<Done> {
        let effects = self.effects().into_values();
        effects
            .filter_map(|effect| {
                let due = effect.id.strip_prefix("tick:")?.parse().expect("the moment at which it was due");
                Some(Done { due, at: effect.at, runs: effect.runs.len() })
            })
            .collect()
    }

    /// All work of a kind that is or was there, in one of these states; in any, when there are none.
    pub(crate) fn work_of(&self, kind: &str, states: &[WorkState]) -> Vec<WorkRecord> {
        let filter = WorkFilter {
            kind: Some(kind.to_owned()),
            states: states.to_vec(),
            limit: u32::MAX,
            ..WorkFilter::default()
        };
        self.ask(async |store| store.list_work(&filter).await)
    }

    /// The work that nobody tries any more.
    pub(crate) fn given_up(&self) -> Vec<WorkRecord> {
        let states = vec![WorkState::Dead, WorkState::Parked];
        let filter = WorkFilter { states, limit: u32::MAX, ..WorkFilter::default() };
        self.ask(async |store| store.list_work(&filter).await)
    }

    fn all(&self, collection: &'static str) -> Vec<Document> {
        let select =
            Select { collection, condition: Condition::All(Vec::new()), sort: Vec::new(), limit: u32::MAX };
        self.ask(async |store| store.query(&select).await)
    }
}

/// The ids of all that these orders must have as effects.
fn effects_of(orders: &BTreeSet<String>) -> BTreeSet<String> {
    let all = || EFFECTS.iter().chain(&OWN_EFFECTS);
    orders.iter().flat_map(|order| all().map(move |effect| format!("{effect}:{order}"))).collect()
}

impl Drop for Books {
    fn drop(&mut self) {
        self.runtime.block_on(self.store.close());
    }
}
