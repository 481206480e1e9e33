//! This process' place among the nodes: who it is, and what it has in its hands.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::di::{Service, ServiceCollection};
use crate::id::Ids;
use crate::work::{Settlement, Ticket};

/// What this process calls itself; a service of the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeName {
    /// What kind of process it is.
    pub role: String,
    /// The machine that it runs on.
    pub host: String,
    /// The application's version.
    pub version: String,
}

/// This process' life as a node. A node that was taken for dead goes on as another one: with a new id, and without
/// the work that it had.
#[derive(Debug, Default)]
pub struct Membership(Mutex<Life>);

#[derive(Debug, Default)]
struct Life {
    /// None as long as the store has not heard of this node.
    id: Option<Uuid>,
    /// When the store was asked that has last heard of it.
    asked: Option<Instant>,
    /// Cancelled when this life ends.
    lost: CancellationToken,
    /// What is in its hands.
    running: HashMap<Ticket, Hand>,
    /// What the store said at the last beat that it has, and it has not.
    unaccounted: HashSet<Ticket>,
    /// How work ends that was let go of before the store was told, and when that was.
    unsettled: HashMap<Ticket, (Settlement, Instant)>,
    /// Who it was before it let go by itself; the store still thinks that this node lives.
    former: Option<Uuid>,
    /// Who it will be. It may have said so, and not have heard that the store knows.
    next: Option<Uuid>,
}

/// A piece of work in its hands.
#[derive(Debug)]
struct Hand {
    /// How to call it off.
    cancelled: CancellationToken,
    /// What the store is told when it is let go of as it is; none when it may just be given back.
    end: Option<Settlement>,
}

impl Membership {
    /// The node's id, and what is cancelled when the store takes it for dead, or may soon. None when that has
    /// happened, or when the store has not heard of it yet: then it must not claim anything.
    pub fn current(&self) -> Option<(Uuid, CancellationToken)> {
        let life = self.life();
        life.id.map(|id| (id, life.lost.clone()))
    }

    /// Notes that something is in its hands, so that it can be called off.
    pub fn hold(&self, work: Ticket, cancelled: CancellationToken) {
        self.life().running.insert(work, Hand { cancelled, end: None });
    }

    /// Notes how something in its hands ends, of which the store is still to be told. What is let go of before that, as
    /// this life ends or the store is away, is told by the heart.
    pub(crate) fn will_end(&self, work: Ticket, settlement: Settlement) {
        if let Some(hand) = self.life().running.get_mut(&work) {
            hand.end = Some(settlement);
        }
    }

    /// Notes that the store knows how something in its hands ended.
    pub(crate) fn has_ended(&self, work: Ticket) {
        if let Some(hand) = self.life().running.get_mut(&work) {
            hand.end = None;
        }
    }

    /// Notes that something is no longer in its hands.
    pub fn let_go(&self, work: Ticket) {
        let mut life = self.life();
        if let Some(end) = life.running.remove(&work).and_then(|hand| hand.end) {
            life.unsettled.insert(work, (end, Instant::now()));
        }
    }

    /// For how long the store may not have heard of this life; none when it does not live.
    pub(super) fn silence(&self) -> Option<Duration> {
        let life = self.life();
        life.id.and(life.asked).map(|asked| asked.elapsed())
    }

    /// Notes that the store has heard of this life, and when it was asked.
    pub(super) fn heard(&self, asked: Instant) {
        self.life().asked = Some(asked);
    }

    /// Begins a life of which the store, asked at that moment, has heard; gives whether there was another before.
    pub(super) fn begin(&self, id: Uuid, asked: Instant) -> bool {
        let mut life = self.life();
        let is_another = life.lost.is_cancelled();
        (life.id, life.next, life.asked) = (Some(id), None, Some(asked));
        life.lost = CancellationToken::new();
        is_another
    }

    /// Ends this life: whatever is in its hands is nobody's business any more, but that the store is told how it ends.
    pub(super) fn end(&self) {
        let mut life = self.life();
        life.former = life.id.take().or(life.former);
        life.lost.cancel();
        let running = std::mem::take(&mut life.running);
        let now = Instant::now();
        let ends = running.into_iter().filter_map(|(work, hand)| Some((work, (hand.end?, now))));
        life.unsettled.extend(ends);
        life.unaccounted.clear();
    }

    pub(super) fn former(&self) -> Option<Uuid> {
        self.life().former
    }

    /// Notes that the store has heard of the end of the former life.
    pub(super) fn forget_former(&self) {
        self.life().former = None;
    }

    /// Who the next life is, the same until it begins: what was said of it may have been heard.
    pub(super) fn next(&self, ids: &Ids) -> Uuid {
        *self.life().next.get_or_insert_with(|| ids.next_uuid())
    }

    /// By whatever ids the store may know it.
    pub(super) fn known_as(&self) -> Vec<Uuid> {
        let life = self.life();
        [life.former, life.id, life.next].into_iter().flatten().collect()
    }

    /// What the store has to be told of what it says, in the last beat that was [heard](Self::heard), that this node has:
    /// of that which nobody here has held for two beats, because an answer did not arrive or how it ended could not be
    /// told.
    pub(super) fn owed(&self, held: &[Ticket]) -> Vec<(Ticket, Settlement)> {
        let mut life = self.life();
        let unaccounted: HashSet<_> =
            held.iter().filter(|ticket| !life.running.contains_key(ticket)).copied().collect();
        let before = std::mem::replace(&mut life.unaccounted, unaccounted);
        // What was let go of since the store was asked may have been claimed after it looked: the next beat tells.
        let asked = life.asked;
        let is_later = |since: Instant| asked.is_none_or(|asked| since >= asked);
        life.unsettled.retain(|ticket, (_, since)| held.contains(ticket) || is_later(*since));
        let stranded = life.unaccounted.intersection(&before);
        let settlement = |ticket| match life.unsettled.get(ticket) {
            Some((end, _)) => end.clone(),
            None => Settlement::Release,
        };
        stranded.map(|ticket| (*ticket, settlement(ticket))).collect()
    }

    /// How all work ends of which the store is still to be told, for a life that ends.
    pub(super) fn unsettled(&self) -> Vec<(Ticket, Settlement)> {
        let life = self.life();
        let running = life.running.iter().filter_map(|(work, hand)| Some((work, hand.end.as_ref()?)));
        let let_go = life.unsettled.iter().map(|(work, (end, _))| (work, end));
        running.chain(let_go).map(|(work, end)| (*work, end.clone())).collect()
    }

    pub(super) fn call_off(&self, work: &[Uuid]) {
        let life = self.life();
        for (_, hand) in life.running.iter().filter(|(ticket, _)| work.contains(&ticket.id)) {
            hand.cancelled.cancel();
        }
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives an application its place among the nodes.
pub fn register(services: &mut ServiceCollection, name: NodeName) {
    services.try_add(Service::instance(name));
    services.try_add(Service::instance(Membership::default()));
}
