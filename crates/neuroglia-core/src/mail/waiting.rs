//! What waited is handed over once a server is attached, and what was sent is forgotten after a while.

use std::sync::Arc;
use std::time::Duration;

use super::outgoing::{MailState, OutgoingMail};
use super::send::SendMail;
use super::server::MailServer;
use crate::clock::Clock;
use crate::data::{PAGE_LIMIT_MAX, Query, Repository};
use crate::di::Inject;
use crate::error::Result;
use crate::mediation::{Command, CommandHandler, Mediator};
use crate::schedule::{Schedule, ScheduledTask, Tick};
use crate::work::Jobs;

/// How often there is a look at both.
const EVERY: Duration = Duration::from_secs(60);

/// Hand waiting mail over to jobs, at most a page at once; answers with its number.
#[derive(Debug, Clone)]
pub struct QueueWaitingMail {}

/// Forget mail that was sent, or has failed, long ago, at most a page of each at once; answers with its number.
#[derive(Debug, Clone)]
pub struct ForgetSentMail {}

impl Command for QueueWaitingMail {
    type Response = usize;
    type Handler = QueueWaitingMailHandler;
}

impl Command for ForgetSentMail {
    type Response = usize;
    type Handler = ForgetSentMailHandler;
}

/// Handles [`QueueWaitingMail`].
#[derive(Inject)]
pub struct QueueWaitingMailHandler {
    outgoing: Repository<OutgoingMail>,
    jobs: Jobs,
}

#[diagnostic::do_not_recommend]
impl CommandHandler<QueueWaitingMail> for QueueWaitingMailHandler {
    async fn handle(&self, _: QueueWaitingMail) -> Result<usize> {
        let waiting = OutgoingMail::STATE.eq(MailState::Waiting.as_str());
        let mut waiting = self.outgoing.find(Query::filter(waiting).limit(PAGE_LIMIT_MAX)).await?.items;
        for mail in &mut waiting {
            self.jobs.enqueue(&SendMail { key: mail.key().clone() })?;
            mail.queue();
            self.outgoing.save(mail)?;
        }
        Ok(waiting.len())
    }
}

/// Handles [`ForgetSentMail`].
#[derive(Inject)]
pub struct ForgetSentMailHandler {
    outgoing: Repository<OutgoingMail>,
    clock: Clock,
}

#[diagnostic::do_not_recommend]
impl CommandHandler<ForgetSentMail> for ForgetSentMailHandler {
    async fn handle(&self, _: ForgetSentMail) -> Result<usize> {
        let sent = OutgoingMail::SENT_AT.le(self.clock.now() - OutgoingMail::KEEP);
        let sent = Query::filter(sent).ascending(OutgoingMail::SENT_AT).limit(PAGE_LIMIT_MAX);
        let mut old = self.outgoing.find(sent).await?.items;
        let failed = OutgoingMail::STATE
            .eq(MailState::Failed.as_str())
            .and(OutgoingMail::FAILED_AT.le(self.clock.now() - OutgoingMail::KEEP_FAILED));
        old.extend(self.outgoing.find(Query::filter(failed).limit(PAGE_LIMIT_MAX)).await?.items);
        for mail in &mut old {
            self.outgoing.remove(mail)?;
        }
        Ok(old.len())
    }
}

/// Hands waiting mail over, where there is a server: a page every minute, so that a new server is not flooded.
#[derive(Inject)]
pub struct SendWaitingMail {
    mediator: Mediator,
    server: Option<Arc<dyn MailServer>>,
}

impl ScheduledTask for SendWaitingMail {
    const NAME: &'static str = "send-waiting-mail";
    const SCHEDULE: Schedule = Schedule::every(EVERY);

    async fn run(&self, _: Tick) -> Result<()> {
        if self.server.is_none() {
            return Ok(());
        }
        let queued = self.mediator.send(QueueWaitingMail {}).await?;
        if queued > 0 {
            tracing::info!(mail.queued = queued, "mail that waited for a server is sent now");
        }
        Ok(())
    }
}

/// Forgets mail that was sent, or has failed, long ago, a page of each every minute.
#[derive(Inject)]
pub struct ForgetOldMail {
    mediator: Mediator,
}

impl ScheduledTask for ForgetOldMail {
    const NAME: &'static str = "forget-sent-mail";
    const SCHEDULE: Schedule = Schedule::every(EVERY);

    async fn run(&self, _: Tick) -> Result<()> {
        self.mediator.send(ForgetSentMail {}).await.map(drop)
    }
}
