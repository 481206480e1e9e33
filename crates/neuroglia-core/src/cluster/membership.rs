//! This process' place among the nodes: it says that it lives, and stops by itself when it cannot.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::node::{HEARTBEAT, LOOKS_APART, NODE_TTL, Node, TTL_MARGIN};
use crate::data::Store;
use crate::di::{Inject, Service, ServiceCollection};
use crate::error::Result;
use crate::hosting::{HostedService, Stopping};
use crate::id::Ids;
use crate::messaging::Wake;
use crate::work::{Settlement, Ticket};

/// How many pieces of a dead node's work are given back in one step.
const BURIAL_BATCH: u32 = 500;

/// After a beat that the store did not hear, the next one does not wait for its time.
const BEAT_AGAIN: Duration = HEARTBEAT.checked_div(4).expect("four is not zero");

/// So much later than it may is a silent node looked at, because an answer takes its way too.
const LOOK_MARGIN: Duration = Duration::from_millis(50);

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
    /// Cancelled when this life ends.
    lost: CancellationToken,
    /// What is in its hands, and how to call it off.
    running: HashMap<Ticket, CancellationToken>,
    /// What the store said at the last beat that it has, and it has not.
    unaccounted: HashSet<Ticket>,
    /// Who it was before it let go by itself; the store still thinks that this node lives.
    former: Option<Uuid>,
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
        self.life().running.insert(work, cancelled);
    }

    /// Notes that it is no longer.
    pub fn let_go(&self, work: Ticket) {
        self.life().running.remove(&work);
    }

    fn begin(&self, id: Uuid) {
        let mut life = self.life();
        life.id = Some(id);
        life.former = None;
        life.lost = CancellationToken::new();
        life.unaccounted.clear();
    }

    /// Ends this life: whatever is in its hands is nobody's business any more.
    fn end(&self) {
        let mut life = self.life();
        life.former = life.id.take().or(life.former);
        life.lost.cancel();
        life.running.clear();
    }

    fn former(&self) -> Option<Uuid> {
        self.life().former
    }

    /// What the store says that this node has, and nobody here has held for two beats: an answer that did not arrive.
    fn stranded(&self, held: &[Ticket]) -> Vec<Ticket> {
        let mut life = self.life();
        let unaccounted: HashSet<_> =
            held.iter().filter(|ticket| !life.running.contains_key(ticket)).copied().collect();
        let before = std::mem::replace(&mut life.unaccounted, unaccounted);
        life.unaccounted.intersection(&before).copied().collect()
    }

    fn call_off(&self, work: &[Uuid]) {
        let life = self.life();
        for (_, cancelled) in life.running.iter().filter(|(ticket, _)| work.contains(&ticket.id)) {
            cancelled.cancel();
        }
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says every two seconds that this node lives, and gives back the work of those that do not say it any more.
#[derive(Inject)]
pub struct Heart {
    store: Arc<dyn Store>,
    membership: Arc<Membership>,
    name: Arc<NodeName>,
    stopping: Arc<Stopping>,
    wake: Arc<Wake>,
    ids: Ids,
}

impl HostedService for Heart {
    const NAME: &'static str = "heart";

    async fn start(&self) -> Result<()> {
        self.join().await.map(drop)
    }

    async fn run(&self, stop: CancellationToken) -> Result<()> {
        let (heard, silence) = watch::channel(Duration::ZERO);
        // A burial that takes its time does not hold up the heart.
        tokio::join!(self.beat_until(&stop, heard), self.bury_until(&stop, silence));
        Ok(())
    }

    async fn stop(&self) {
        if let Some((id, _)) = self.membership.current()
            && let Err(error) = self.store.leave(id).await
        {
            tracing::warn!(%error, "the store did not hear that this node ends; others will find out");
        }
    }
}

impl Heart {
    /// Says that this node lives, and passes on how long the most silent of the others has not.
    async fn beat_until(&self, stop: &CancellationToken, heard: watch::Sender<Duration>) {
        let (mut last, mut pause) = (Instant::now(), HEARTBEAT);
        while over(stop, pause).await {
            let asked = Instant::now();
            let patience = NODE_TTL.saturating_sub(TTL_MARGIN).saturating_sub(last.elapsed()).max(BEAT_AGAIN);
            pause = BEAT_AGAIN;
            match timeout(patience, self.beat_once()).await {
                Ok(Ok(silence)) => {
                    // What counts is when the store was asked: its clock was read after that.
                    (last, pause) = (asked, HEARTBEAT);
                    heard.send_replace(silence);
                }
                Ok(Err(error)) => tracing::warn!(
                    error = &error as &(dyn std::error::Error + 'static),
                    "the store did not hear that this node lives"
                ),
                Err(_) => tracing::warn!("the store did not hear in time that this node lives"),
            }
            if last.elapsed() + HEARTBEAT >= NODE_TTL - TTL_MARGIN && self.membership.current().is_some() {
                tracing::error!(
                    silent_ms = u64::try_from(last.elapsed().as_millis()).unwrap_or(u64::MAX),
                    "others may take this node for dead soon; it lets go of its work"
                );
                self.membership.end();
            }
        }
    }

    /// Looks for the dead at the moment at which the most silent node may be one, and again when that can be decided.
    async fn bury_until(&self, stop: &CancellationToken, mut silence: watch::Receiver<Duration>) {
        while silence.changed().await.is_ok() {
            let silent = *silence.borrow_and_update();
            if silent + HEARTBEAT < NODE_TTL {
                continue;
            }
            for pause in [NODE_TTL.saturating_sub(silent), LOOKS_APART] {
                if !over(stop, pause + LOOK_MARGIN).await {
                    return;
                }
                match timeout(NODE_TTL, self.bury_others()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!(%error, "the dead could not be looked for"),
                    Err(_) => tracing::debug!("the dead could not be looked for in time"),
                }
            }
        }
    }

    /// Begins a life, after what the former one had was given back.
    async fn join(&self) -> Result<Duration> {
        if let Some(former) = self.membership.former() {
            self.store.leave(former).await?;
            self.wake.work();
        }
        let id = self.ids.next_uuid();
        let beat = self.store.beat(&self.node(id)).await?;
        self.membership.begin(id);
        Ok(beat.longest_silence)
    }

    async fn beat_once(&self) -> Result<Duration> {
        let Some((id, _)) = self.membership.current() else { return self.join().await };
        let beat = self.store.beat(&self.node(id)).await?;
        if beat.is_new {
            tracing::error!(node.id = %id, "this node was taken for dead; it lets go of its work and begins anew");
            self.membership.end();
            return self.join().await;
        }
        self.membership.call_off(&beat.cancelled);
        let stranded = self.membership.stranded(&beat.held);
        if !stranded.is_empty() {
            tracing::warn!(
                work.released = stranded.len(),
                "work that this node does not know of was given back"
            );
            let settlements: Vec<_> =
                stranded.into_iter().map(|ticket| (ticket, Settlement::Release)).collect();
            self.store.settle(&settlements).await?;
            self.wake.work();
        }
        Ok(beat.longest_silence)
    }

    async fn bury_others(&self) -> Result<()> {
        loop {
            let burials = self.store.bury(NODE_TTL, LOOKS_APART, BURIAL_BATCH).await?;
            let released: u64 = burials.iter().map(|burial| burial.released).sum();
            for burial in burials {
                tracing::warn!(
                    node.id = %burial.node,
                    work.released = burial.released,
                    silent_ms = u64::try_from(burial.silent.as_millis()).unwrap_or(u64::MAX),
                    "a node is dead; its work was given back"
                );
            }
            if released > 0 {
                // Nobody waits for the next look of the workers.
                self.wake.work();
            }
            if released < u64::from(BURIAL_BATCH) {
                return Ok(());
            }
        }
    }

    fn node(&self, id: Uuid) -> Node {
        let NodeName { role, host, version } = &*self.name;
        Node {
            id,
            role: role.clone(),
            host: host.clone(),
            version: version.clone(),
            is_draining: self.stopping.has_begun(),
        }
    }
}

/// Waits for so long; whether nobody said meanwhile to stop.
async fn over(stop: &CancellationToken, pause: Duration) -> bool {
    stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some()
}

/// Gives an application its place among the nodes.
pub fn register(services: &mut ServiceCollection, name: NodeName) {
    services.try_add(Service::instance(name));
    services.try_add(Service::instance(Membership::default()));
    services.try_add(Service::instance(Wake::default()));
}
