//! Says that this node lives, stops it when it cannot, and gives back the work of the dead.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::membership::{Membership, NodeName};
use super::node::{Beat, HEARTBEAT, LOOKS_APART, NODE_TTL, Node, TTL_MARGIN};
use crate::data::Store;
use crate::di::Inject;
use crate::error::{ErrorKind, Result, chain};
use crate::hosting::{HostedService, Stopping};
use crate::id::Ids;
use crate::messaging::Wake;
use crate::work::{Settlement, Ticket};

/// How many pieces of a dead node's work are given back in one step.
const BURIAL_BATCH: u32 = 500;

/// After a beat that the store did not hear, the next one does not wait for its time.
const BEAT_AGAIN: Duration = HEARTBEAT.checked_div(4).expect("four is not zero");

/// Whoever lives has said so between two looks, also when the store did not hear it the first time.
const _: () = assert!(LOOKS_APART.as_millis() > HEARTBEAT.as_millis() + BEAT_AGAIN.as_millis());

/// So much later than it may is a silent node looked at, because an answer takes its way too.
const LOOK_MARGIN: Duration = Duration::from_millis(50);

/// How often there is a look until a node that was found silent at the first is buried at the last: one that falls silent
/// a little later does not wait for a whole round.
const LOOKS: u32 = 4;

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

/// What a beat brought that is nothing for the heart to wait for.
#[derive(Default)]
struct Heard {
    /// How long the most silent of the others has not said that it lives.
    silence: Duration,
    /// What the store has to be told of work that nobody here holds.
    owed: Vec<(Ticket, Settlement)>,
}

impl HostedService for Heart {
    const NAME: &'static str = "heart";

    async fn start(&self) -> Result<()> {
        self.join().await.map(drop)
    }

    async fn run(&self, stop: CancellationToken) -> Result<()> {
        let (heard, silence) = watch::channel(Heard::default());
        let owed = heard.subscribe();
        // What takes its time does not hold up the heart.
        let others = async { tokio::join!(self.bury_the_silent(silence), self.tell_what_is_owed(owed)) };
        tokio::join!(self.beat_until(&stop, heard), stop.run_until_cancelled(others));
        Ok(())
    }

    async fn stop(&self) {
        for id in self.membership.known_as() {
            if let Err(error) = self.leave(id).await {
                tracing::warn!(
                    error = chain(&error),
                    "the store did not hear that this node ends; others will find out"
                );
            }
        }
        self.wake.work();
    }
}

impl Heart {
    /// Says that this node lives, and passes on what it hears.
    async fn beat_until(&self, stop: &CancellationToken, heard: watch::Sender<Heard>) {
        // Not from now on: its first word may be a while ago, and so may the last one of a run before this.
        let mut pause = HEARTBEAT.saturating_sub(self.membership.silence().unwrap_or(HEARTBEAT));
        while stop.run_until_cancelled(sleep(pause)).await.is_some() {
            let patience = match self.membership.silence() {
                Some(silence) => (NODE_TTL - TTL_MARGIN).saturating_sub(silence),
                // It has nothing that others might take: what counts is to be heard at all.
                None => NODE_TTL,
            };
            let beat = tokio::select! {
                beat = timeout(patience, self.beat()) => beat,
                () = soon_after(stop) => return,
            };
            pause = BEAT_AGAIN;
            match beat {
                Ok(Ok(beat)) => {
                    pause = HEARTBEAT;
                    self.membership.call_off(&beat.cancelled);
                    let owed = self.membership.owed(&beat.held);
                    heard.send_replace(Heard { silence: beat.longest_silence, owed });
                }
                Ok(Err(error)) => {
                    tracing::warn!(error = chain(&error), "the store did not hear that this node lives");
                }
                Err(_) => tracing::warn!("the store did not hear in time that this node lives"),
            }
            if let Some(silence) = self.membership.silence()
                && silence + BEAT_AGAIN >= NODE_TTL - TTL_MARGIN
            {
                tracing::error!(
                    silent_ms = u64::try_from(silence.as_millis()).unwrap_or(u64::MAX),
                    "others may take this node for dead soon; it lets go of its work"
                );
                self.membership.end();
            }
        }
    }

    /// Looks for the dead at the moment at which the most silent node may be one, and again until that can be decided.
    async fn bury_the_silent(&self, mut heard: watch::Receiver<Heard>) {
        while heard.changed().await.is_ok() {
            let silent = heard.borrow_and_update().silence;
            if silent + HEARTBEAT < NODE_TTL {
                continue;
            }
            let first = NODE_TTL.saturating_sub(silent) + LOOK_MARGIN;
            let next = (LOOKS_APART + LOOK_MARGIN) / LOOKS;
            for pause in std::iter::once(first).chain(std::iter::repeat_n(next, LOOKS as usize)) {
                sleep(pause).await;
                match timeout(NODE_TTL, self.bury_others()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::debug!(error = chain(&error), "the dead could not be looked for")
                    }
                    Err(_) => tracing::debug!("the dead could not be looked for in time"),
                }
            }
        }
    }

    /// Tells the store of work that it says is here, and is not. What it does not hear now the next beat finds again.
    async fn tell_what_is_owed(&self, mut heard: watch::Receiver<Heard>) {
        while heard.changed().await.is_ok() {
            let owed = heard.borrow_and_update().owed.clone();
            if owed.is_empty() {
                continue;
            }
            match timeout(NODE_TTL, self.settle(&owed)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::debug!(error = chain(&error), "work that this node does not have is not settled")
                }
                Err(_) => {
                    tracing::debug!("the store did not hear in time of work that this node does not have")
                }
            }
        }
    }

    /// Ends a life in the store, which is told first how the work ends that it must not just give back. When it does not
    /// hear that, the life is not ended either: whoever buries it does with its work what that says of crashes.
    async fn leave(&self, life: Uuid) -> Result<()> {
        self.settle(&self.membership.unsettled()).await?;
        self.store.leave(life).await
    }

    /// Tells the store how work ends; each by itself, so that one which it refuses keeps no other.
    async fn settle(&self, owed: &[(Ticket, Settlement)]) -> Result<()> {
        let (mut settled, mut outcome) = (0, Ok(()));
        for one in owed {
            match self.store.settle(std::slice::from_ref(one)).await {
                Ok(held) => settled += u64::from(held == [true]),
                Err(error) => {
                    tracing::warn!(work.id = %one.0.id, error = chain(&error), "work could not be settled");
                    let is_away = error.kind() == ErrorKind::Unavailable;
                    outcome = Err(error);
                    if is_away {
                        break;
                    }
                }
            }
        }
        if settled > 0 {
            tracing::warn!(work.settled = settled, "work that this node does not hold was settled");
            self.wake.work();
        }
        outcome
    }

    /// Says once that this node lives, and notes when the store was asked: its clock was read after that.
    async fn beat(&self) -> Result<Beat> {
        let Some((id, _)) = self.membership.current() else { return self.join().await };
        let (asked, beat) = (Instant::now(), self.store.beat(&self.node(id)).await?);
        if beat.is_new {
            tracing::error!(node.id = %id, "this node was taken for dead; it lets go of its work and begins anew");
            self.membership.end();
            return self.join().await;
        }
        self.membership.heard(asked);
        Ok(beat)
    }

    /// Begins a life, after what the former one had was given back.
    async fn join(&self) -> Result<Beat> {
        if let Some(former) = self.membership.former() {
            match self.leave(former).await {
                Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
                // What is refused now is refused at the next beat as well; the former life is buried.
                outcome => drop(outcome),
            }
            self.membership.forget_former();
            self.wake.work();
        }
        let id = self.membership.next(&self.ids);
        let (asked, beat) = (Instant::now(), self.store.beat(&self.node(id)).await?);
        if self.membership.begin(id, asked) {
            // Its own workers could not claim while it was nobody.
            self.wake.work_heard();
        }
        Ok(beat)
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

/// A beat under way may end: one that the store hears after the farewell would leave a node behind that is none.
async fn soon_after(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(BEAT_AGAIN).await;
}
