//! Who lives and who does not, and what becomes of the work of the dead.

use std::sync::Arc;
use std::time::Duration;

use neuroglia::clock::Timestamp;
use neuroglia::cluster::{Beat, Burial, Node, NodeRecord};
use neuroglia::data::Store;
use neuroglia::error::ErrorKind;
use neuroglia::work::{CRASHES_MAX, NewWork, OnCrash, Revision, Settlement, Ticket, WorkState};
use uuid::Uuid;

use super::refused;
use super::workbench::{
    LONG, SHORT, asking_as, claim, claim_as, claim_one, enqueue, finishing, is_past, job, node, now, record,
    records, settle, state,
};

/// So soon is a node silent.
const TTL: Duration = Duration::from_millis(2);

/// So far apart are two looks.
const APART: Duration = Duration::from_millis(2);

async fn beat(store: &dyn Store, node: &Node) -> Beat {
    store.beat(node).await.expect("a node says that it lives")
}

async fn listed(store: &dyn Store) -> Vec<NodeRecord> {
    let mut nodes = store.nodes().await.expect("nodes are listed");
    nodes.sort_by_key(|record| (record.started_at, record.node.id));
    nodes
}

/// A look at who is silent, once the nodes have been it; the next one is far enough from it.
async fn look(store: &dyn Store, limit: u32) -> Vec<Burial> {
    are_silent(store).await;
    let burials = bury_after(store, APART, limit).await;
    is_past(store, now(store).await + APART).await;
    burials
}

async fn bury_after(store: &dyn Store, apart: Duration, limit: u32) -> Vec<Burial> {
    store.bury(TTL, apart, limit).await.expect("the dead are buried")
}

/// Waits until every node has been silent for long enough.
async fn are_silent(store: &dyn Store) {
    let last = listed(store).await.iter().map(|record| record.heartbeat_at).max();
    if let Some(last) = last {
        is_past(store, last + TTL).await;
    }
}

/// Looks until the node is buried, and gives how much was given back.
async fn bury(store: &dyn Store, node: Uuid) -> u64 {
    assert_eq!(look(store, 100).await, [], "one look is not enough");
    let burials = look(store, 100).await;
    assert_eq!(burials.iter().map(|burial| burial.node).collect::<Vec<_>>(), [node], "{burials:?}");
    burials[0].released
}

/// A node that lives, with one piece of this work in its hands.
async fn worker_at(store: &dyn Store, work: NewWork) -> (Node, Ticket) {
    let worker = node("worker");
    beat(store, &worker).await;
    let kind = work.kind.clone();
    enqueue(store, [work]).await;
    let ticket = claim_as(store, worker.id, &kind).await.ticket;
    (worker, ticket)
}

pub(super) async fn a_first_beat_is_new_and_later_ones_are_not(store: Arc<dyn Store>) {
    let mut first = node("worker");
    let before = now(&*store).await;
    let beaten = beat(&*store, &first).await;
    assert!(beaten.is_new && beaten.now >= before && beaten.cancelled.is_empty(), "{beaten:?}");
    is_past(&*store, beaten.now).await;
    first.is_draining = true;
    let again = beat(&*store, &first).await;
    assert!(!again.is_new && again.now > beaten.now, "{again:?}");
    assert!(beat(&*store, &node("web")).await.is_new);
    let nodes = listed(&*store).await;
    assert_eq!(nodes.len(), 2);
    let NodeRecord { node: known, started_at, heartbeat_at } = &nodes[0];
    assert_eq!(known, &first, "and it drains by now");
    assert!(*started_at <= beaten.now && *heartbeat_at > *started_at, "{nodes:?}");
    assert_eq!(nodes[1].node.role, "web");
}

pub(super) async fn a_silent_node_is_buried_at_the_second_look_and_its_work_given_back(
    store: Arc<dyn Store>,
) {
    let (worker, ticket) = worker_at(&*store, job("kind")).await;
    assert_eq!(look(&*store, 100).await, [], "the first look may have come at a bad moment");
    assert_eq!(state(&*store, ticket.id).await, WorkState::Running);
    let [burial] = look(&*store, 100).await.try_into().expect("one node is buried");
    assert_eq!((burial.node, burial.released), (worker.id, 1));
    assert!(burial.silent > TTL, "{burial:?}");
    assert_eq!(listed(&*store).await, []);
    let released = record(&*store, ticket.id).await;
    assert_eq!((released.state, released.owner), (WorkState::Waiting, None));
    assert_eq!((released.attempt, released.crashes), (1, 1), "the attempt counts, and so does the crash");
    assert_eq!(look(&*store, 100).await, [], "nobody is buried twice");
    assert_eq!(claim_one(&*store, "kind").await.attempt, 2);
}

pub(super) async fn two_looks_at_the_same_moment_are_one(store: Arc<dyn Store>) {
    let (worker, ticket) = worker_at(&*store, job("kind")).await;
    are_silent(&*store).await;
    let before = now(&*store).await;
    for _ in 0..3 {
        assert_eq!(bury_after(&*store, LONG, 100).await, [], "several nodes look when one falls silent");
    }
    assert_eq!(state(&*store, ticket.id).await, WorkState::Running);
    is_past(&*store, now(&*store).await + SHORT).await;
    let [burial] = bury_after(&*store, SHORT, 100).await.try_into().expect("one node is buried");
    assert_eq!(burial.node, worker.id);
    assert!(now(&*store).await > before + SHORT, "not before its time");
}

pub(super) async fn a_beat_tells_how_long_the_most_silent_of_the_others_is_silent(store: Arc<dyn Store>) {
    let nodes = [node("worker"), node("worker"), node("worker")];
    let mut heard = Vec::new();
    for node in &nodes {
        let said = beat(&*store, node).await;
        let silence = heard.first().map_or(Duration::ZERO, |first: &Beat| said.now.since(first.now));
        assert_eq!(said.longest_silence, silence, "the first has been silent for longest");
        is_past(&*store, said.now).await;
        heard.push(said);
    }
    let said = beat(&*store, &nodes[0]).await;
    assert_eq!(said.longest_silence, said.now.since(heard[1].now), "its own silence is no news to it");
}

pub(super) async fn a_node_that_beats_again_is_not_buried(store: Arc<dyn Store>) {
    let (worker, ticket) = worker_at(&*store, job("kind")).await;
    for _ in 0..3 {
        assert_eq!(look(&*store, 100).await, []);
        assert!(!beat(&*store, &worker).await.is_new);
    }
    for _ in 0..2 {
        let burials = store.bury(LONG, Duration::ZERO, 100).await.expect("the dead are buried");
        assert_eq!(burials, [], "it said so just now");
    }
    store.commit(finishing(ticket)).await.expect("its ticket holds");
}

pub(super) async fn a_buried_nodes_tickets_are_void_and_its_next_beat_is_new(store: Arc<dyn Store>) {
    let (worker, ticket) = worker_at(&*store, job("kind")).await;
    assert_eq!(bury(&*store, worker.id).await, 1);
    refused(store.commit(finishing(ticket)).await, ErrorKind::Conflict, "a finish by a buried node");
    assert!(!settle(&*store, ticket, Settlement::Release).await);
    assert!(!store.note_progress(ticket, "1").await.expect("progress is refused"));
    assert!(beat(&*store, &worker).await.is_new);
    assert_eq!(record(&*store, ticket.id).await.attempt, 1);
}

pub(super) async fn who_is_not_known_gets_no_work(store: Arc<dyn Store>) {
    enqueue(&*store, [job("kind")]).await;
    let worker = node("worker");
    let claimed =
        async || store.claim(&asking_as(worker.id, &["kind"], 10)).await.expect("a claim is answered").len();
    assert_eq!(claimed().await, 0, "nobody would notice its death");
    beat(&*store, &worker).await;
    assert_eq!(bury(&*store, worker.id).await, 0);
    assert_eq!(claimed().await, 0, "it was buried, and does not know it yet");
    beat(&*store, &worker).await;
    store.leave(worker.id).await.expect("a node leaves");
    assert_eq!(claimed().await, 0, "it has left");
    beat(&*store, &worker).await;
    assert_eq!(claimed().await, 1);
}

pub(super) async fn a_crash_means_what_the_work_says(store: Arc<dyn Store>) {
    for (on_crash, state) in [(OnCrash::Fail, WorkState::Dead), (OnCrash::Quarantine, WorkState::Parked)] {
        let (worker, ticket) = worker_at(&*store, NewWork { on_crash, ..job("kind") }).await;
        assert_eq!(bury(&*store, worker.id).await, 1);
        let ended = record(&*store, ticket.id).await;
        assert_eq!((ended.state, ended.owner, ended.crashes), (state, None, 1), "{on_crash:?}");
        assert_eq!(ended.failures.len(), 1, "it says why: {ended:?}");
    }
    let (worker, ticket) = worker_at(&*store, NewWork { attempts_max: 1, ..job("kind") }).await;
    assert_eq!(bury(&*store, worker.id).await, 1);
    assert_eq!(state(&*store, ticket.id).await, WorkState::Dead, "that was its last attempt");
}

pub(super) async fn work_that_takes_too_many_processes_along_is_parked(store: Arc<dyn Store>) {
    let pill = job("pill");
    enqueue(&*store, [pill.clone()]).await;
    for crashes in 1..=CRASHES_MAX {
        let worker = node("worker");
        beat(&*store, &worker).await;
        claim_as(&*store, worker.id, "pill").await;
        assert_eq!(bury(&*store, worker.id).await, 1);
        let found = record(&*store, pill.id).await;
        let expected = if crashes < CRASHES_MAX { WorkState::Waiting } else { WorkState::Parked };
        assert_eq!((found.state, found.crashes), (expected, crashes));
    }
    assert!(store.revise(pill.id, &Revision::Replay).await.expect("work is revised"));
    let replayed = record(&*store, pill.id).await;
    assert_eq!((replayed.state, replayed.attempt, replayed.crashes), (WorkState::Waiting, 0, 0));
}

pub(super) async fn work_that_two_processes_died_of_is_given_back_apart(store: Arc<dyn Store>) {
    let work = [job("kind"), job("kind"), job("kind")];
    enqueue(&*store, work.clone()).await;
    for crashes in 1..=2 {
        let worker = node("worker");
        beat(&*store, &worker).await;
        let asked = asking_as(worker.id, &["kind"], 10);
        assert_eq!(store.claim(&asked).await.expect("work is claimed").len(), 3, "after {crashes} deaths");
        assert_eq!(bury(&*store, worker.id).await, 3);
    }
    let [first, second, third] = standing(&*store, &work).await;
    assert_eq!(
        (first.0, second.0, third.0),
        (WorkState::Waiting, WorkState::Scheduled, WorkState::Scheduled)
    );
    assert!(first.1 < second.1 && second.1 < third.1, "one after another: {first:?}, {second:?}, {third:?}");
    assert_eq!(claim(&*store, &["kind"], 10).await.len(), 1, "the next death tells whose fault it is");
}

pub(super) async fn suspects_of_nodes_that_are_buried_together_are_given_back_apart(store: Arc<dyn Store>) {
    enqueue(&*store, [job("kind"), job("kind")]).await;
    for _ in 1..=2 {
        for _ in 1..=2 {
            let worker = node("worker");
            beat(&*store, &worker).await;
            let asked = asking_as(worker.id, &["kind"], 1);
            assert_eq!(store.claim(&asked).await.expect("work is claimed").len(), 1);
        }
        assert_eq!(look(&*store, 100).await, [], "one look is not enough");
        assert_eq!(look(&*store, 100).await.len(), 2, "both are silent");
    }
    assert_eq!(claim(&*store, &["kind"], 10).await.len(), 1, "the next death tells whose fault it is");
}

async fn standing(store: &dyn Store, work: &[NewWork; 3]) -> [(WorkState, Timestamp); 3] {
    let [first, second, third] = work;
    let of = async |work: &NewWork| {
        let found = record(store, work.id).await;
        (found.state, found.run_at)
    };
    [of(first).await, of(second).await, of(third).await]
}

pub(super) async fn called_off_work_of_the_dead_is_not_tried_again(store: Arc<dyn Store>) {
    let (worker, ticket) = worker_at(&*store, job("kind")).await;
    assert!(store.revise(ticket.id, &Revision::Cancel).await.expect("work is called off"));
    assert_eq!(bury(&*store, worker.id).await, 1);
    assert_eq!(state(&*store, ticket.id).await, WorkState::Cancelled);
    let (worker, ticket) = worker_at(&*store, job("kind")).await;
    assert!(store.revise(ticket.id, &Revision::Cancel).await.expect("work is called off"));
    store.leave(worker.id).await.expect("a node leaves");
    assert_eq!(state(&*store, ticket.id).await, WorkState::Cancelled);
}

pub(super) async fn a_node_that_leaves_gives_its_work_back_uncounted(store: Arc<dyn Store>) {
    let (worker, ticket) = worker_at(&*store, job("kind")).await;
    let (other, kept) = worker_at(&*store, job("other")).await;
    store.leave(worker.id).await.expect("a node leaves");
    store.leave(worker.id).await.expect("leaving twice is no error");
    assert_eq!(listed(&*store).await.iter().map(|record| record.node.id).collect::<Vec<_>>(), [other.id]);
    let released = record(&*store, ticket.id).await;
    assert_eq!((released.state, released.attempt, released.crashes), (WorkState::Waiting, 0, 0));
    assert!(!settle(&*store, ticket, Settlement::Release).await, "its ticket is void");
    assert_eq!(claim_one(&*store, "kind").await.attempt, 1);
    store.commit(finishing(kept)).await.expect("the other's ticket holds");
}

pub(super) async fn the_work_of_the_dead_is_given_back_in_steps(store: Arc<dyn Store>) {
    let worker = node("worker");
    beat(&*store, &worker).await;
    enqueue(&*store, (0..4).map(|_| job("kind"))).await;
    let claimed = store.claim(&asking_as(worker.id, &["kind"], 10)).await.expect("work is claimed");
    assert_eq!(claimed.len(), 4);
    assert_eq!(look(&*store, 3).await, []);
    let released = async || look(&*store, 3).await.iter().map(|burial| burial.released).sum::<u64>();
    assert_eq!(released().await, 3);
    assert_eq!(listed(&*store).await.len(), 1, "some of its work is left");
    let free = records(&*store).await.iter().filter(|record| record.state == WorkState::Waiting).count();
    assert_eq!(free, 3, "what was given back is free");
    assert_eq!(released().await, 1);
    assert_eq!(listed(&*store).await, [], "the node goes with the last piece");
}

pub(super) async fn a_node_goes_with_its_last_piece_of_work(store: Arc<dyn Store>) {
    let (worker, _) = worker_at(&*store, job("kind")).await;
    assert_eq!(look(&*store, 1).await, []);
    let [burial] = look(&*store, 1).await.try_into().expect("one node is buried");
    assert_eq!((burial.node, burial.released), (worker.id, 1));
    assert_eq!(listed(&*store).await, [], "the step was just large enough");
}
