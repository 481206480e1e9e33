//! Where a process' work is done: so many places, and who has one or waits for it.
//!
//! As much as runs waits beside it, so that nobody waits for the store. That pays for short work only: what waits behind
//! a long piece keeps other workers from it, who may have nothing to do. So nothing is claimed that would wait behind a
//! piece which runs for long, and what has waited for long is given back without counting an attempt.
//!
//! Nothing waits in a process whose work must not be tried again after a crash: when that dies, what had not begun would
//! count as what may have been half done.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::claimer::WorkPlan;
use super::item::{QueueRoom, Ticket};
use crate::cluster::Membership;

/// What runs for longer keeps its place for who knows how long; what waits for longer had better wait elsewhere.
const LONG: Duration = Duration::from_secs(1);

/// The places of a process.
pub(super) struct Places {
    all: Arc<Semaphore>,
    of_queue: BTreeMap<String, Queue>,
    concurrency: usize,
    /// Whether as much as runs may wait beside it.
    claims_ahead: bool,
    /// Which queue is dealt to first: the one after the last that got something.
    turn: AtomicUsize,
    hands: Mutex<HashMap<Ticket, Hand>>,
    changed: Notify,
    pub(super) tasks: TaskTracker,
    /// Nothing begins any more, and what runs had better come to an end.
    pub(super) ending: CancellationToken,
    /// What runs is broken off.
    pub(super) cut: CancellationToken,
}

struct Queue {
    places: Arc<Semaphore>,
    limit: usize,
}

/// A piece that was claimed and has not ended.
struct Hand {
    queue: String,
    /// When it got its place; none while it waits.
    began: Option<Instant>,
}

/// How much is held of a queue, or of all.
#[derive(Default)]
struct Load {
    held: usize,
    running: usize,
    /// Runs for long.
    long: usize,
}

impl Load {
    const NONE: Self = Self { held: 0, running: 0, long: 0 };

    fn count(&mut self, hand: &Hand) {
        self.held += 1;
        self.running += usize::from(hand.began.is_some());
        self.long += usize::from(hand.began.is_some_and(|began| began.elapsed() > LONG));
    }
}

impl Places {
    pub(super) fn new(plan: &WorkPlan) -> Self {
        let queue = |limit: usize| Queue { places: Arc::new(Semaphore::new(limit)), limit };
        Self {
            all: Arc::new(Semaphore::new(plan.concurrency)),
            of_queue: plan.queues.iter().map(|(name, limit)| (name.clone(), queue(*limit))).collect(),
            concurrency: plan.concurrency,
            claims_ahead: !plan.doers.any_ends_with_its_process(),
            turn: AtomicUsize::new(0),
            hands: Mutex::default(),
            changed: Notify::new(),
            tasks: TaskTracker::new(),
            ending: CancellationToken::new(),
            cut: CancellationToken::new(),
        }
    }

    /// How much is to be claimed. Only when a good part is free, or a place is: many small claims cost more than few large
    /// ones. When there are more queues than is free, some get nothing this time.
    pub(super) fn rooms(&self) -> Vec<QueueRoom> {
        let (mut all, mut of_queue) = (Load::default(), HashMap::<&str, Load>::new());
        let hands = self.hands();
        for hand in hands.values() {
            all.count(hand);
            of_queue.entry(&hand.queue).or_default().count(hand);
        }
        let mut free = self.free(&all, self.concurrency);
        if free * 4 < self.most(&all, self.concurrency) && all.running >= self.concurrency {
            return Vec::new();
        }
        let count = self.of_queue.len();
        let first = self.turn.load(Ordering::Relaxed) % count.max(1);
        let mut rooms = Vec::with_capacity(count);
        for (place, (name, queue)) in self.of_queue.iter().cycle().skip(first).take(count).enumerate() {
            let load = of_queue.get(name.as_str()).unwrap_or(&Load::NONE);
            let limit = self.free(load, queue.limit).min(free.div_ceil(count - place));
            free -= limit;
            if limit > 0 {
                self.turn.store(first + place + 1, Ordering::Relaxed);
                let limit = u32::try_from(limit).unwrap_or(u32::MAX);
                rooms.push(QueueRoom { queue: name.clone(), limit });
            }
        }
        rooms
    }

    /// How much may be held in so many places.
    fn most(&self, load: &Load, places: usize) -> usize {
        if self.claims_ahead { places * 2 - load.long.min(places) } else { places }
    }

    fn free(&self, load: &Load, places: usize) -> usize {
        self.most(load, places).saturating_sub(load.held)
    }

    /// Waits until something has ended.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Counts a piece of work as held until this is dropped.
    pub(super) fn hold(self: &Arc<Self>, ticket: Ticket, queue: &str, membership: &Arc<Membership>) -> Held {
        self.hands().insert(ticket, Hand { queue: queue.to_owned(), began: None });
        Held { places: Arc::clone(self), membership: Arc::clone(membership), ticket }
    }

    /// A place for one piece of work; none when nothing begins any more, or when it has waited for long.
    pub(super) async fn place(
        &self,
        ticket: Ticket,
        queue: &str,
        lost: &CancellationToken,
    ) -> Option<[OwnedSemaphorePermit; 2]> {
        let take = async {
            let of_queue = Arc::clone(&self.of_queue.get(queue)?.places).acquire_owned().await.ok()?;
            Some([of_queue, Arc::clone(&self.all).acquire_owned().await.ok()?])
        };
        let place = tokio::select! {
            biased;
            () = self.ending.cancelled() => None,
            () = lost.cancelled() => None,
            place = take => place,
            () = sleep(LONG) => None,
        }?;
        if let Some(hand) = self.hands().get_mut(&ticket) {
            hand.began = Some(Instant::now());
        }
        Some(place)
    }

    fn hands(&self) -> MutexGuard<'_, HashMap<Ticket, Hand>> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A piece of work that is held for as long as this lives.
pub(super) struct Held {
    places: Arc<Places>,
    membership: Arc<Membership>,
    ticket: Ticket,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.membership.let_go(self.ticket);
        self.places.hands().remove(&self.ticket);
        self.places.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Ids;

    fn places(concurrency: usize) -> Arc<Places> {
        let queues = BTreeMap::from([("default".to_owned(), concurrency)]);
        Arc::new(Places::new(&WorkPlan { queues, concurrency, ..WorkPlan::default() }))
    }

    fn room(places: &Places) -> u32 {
        places.rooms().iter().map(|room| room.limit).sum()
    }

    #[tokio::test(start_paused = true)]
    async fn as_much_is_claimed_again_as_runs_but_nothing_behind_what_runs_for_long() {
        let (places, membership, ids) = (places(4), Arc::new(Membership::default()), Ids::random());
        assert_eq!(room(&places), 8);
        let mut held = Vec::new();
        for _ in 0..4 {
            let ticket = Ticket { id: ids.next_uuid(), token: ids.next_uuid() };
            let held_one = places.hold(ticket, "default", &membership);
            let place = places.place(ticket, "default", &CancellationToken::new()).await;
            held.push((held_one, place.expect("there is one")));
        }
        assert_eq!(room(&places), 4, "they may be short");
        tokio::time::advance(LONG * 2).await;
        assert_eq!(room(&places), 0, "who comes now would wait for long");
        held.pop();
        assert!(room(&places) >= 1, "a place is free");
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_runs_no_more_than_its_limit_whatever_is_free() {
        let queues = BTreeMap::from([("mail".to_owned(), 1), ("default".to_owned(), 4)]);
        let places = Arc::new(Places::new(&WorkPlan { queues, concurrency: 4, ..WorkPlan::default() }));
        let ids = Ids::random();
        let ticket = || Ticket { id: ids.next_uuid(), token: ids.next_uuid() };
        let lost = CancellationToken::new();
        let first = places.place(ticket(), "mail", &lost).await.expect("there is one");
        let _other = places.place(ticket(), "default", &lost).await.expect("another queue has places");
        assert!(places.place(ticket(), "mail", &lost).await.is_none(), "one letter at a time");
        drop(first);
        assert!(places.place(ticket(), "mail", &lost).await.is_some(), "the next one's turn");
    }

    #[test]
    fn what_is_free_is_dealt_out_once_and_to_each_queue_in_turn() {
        let queues = BTreeMap::from(["a", "b", "c"].map(|queue| (queue.to_owned(), 4)));
        let places = Arc::new(Places::new(&WorkPlan { queues, concurrency: 4, ..WorkPlan::default() }));
        let (membership, ids) = (Arc::new(Membership::default()), Ids::random());
        let hold = || {
            let ticket = Ticket { id: ids.next_uuid(), token: ids.next_uuid() };
            places.hold(ticket, "b", &membership)
        };
        let mut held = Vec::new();
        for free in (1..=8).rev() {
            assert_eq!(room(&places), free);
            held.push(hold());
        }
        held.pop();
        let mut dealt: Vec<_> = (0..3).flat_map(|_| places.rooms()).map(|room| room.queue).collect();
        dealt.sort();
        assert_eq!(dealt, ["a", "b", "c"], "nobody is always the first");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_long_gets_no_place() {
        let (places, ids) = (places(1), Ids::random());
        let tickets = [(); 2].map(|()| Ticket { id: ids.next_uuid(), token: ids.next_uuid() });
        let lost = CancellationToken::new();
        let _first = places.place(tickets[0], "default", &lost).await.expect("there is one");
        let asked = Instant::now();
        assert!(places.place(tickets[1], "default", &lost).await.is_none());
        assert!(asked.elapsed() >= LONG);
    }
}
