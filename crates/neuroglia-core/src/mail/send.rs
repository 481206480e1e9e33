//! Bring a mail to the server.
//!
//! What an attempt changes is committed with its success only. So that a mail which has failed for good is seen to, the
//! last attempt notes it in a unit of work of its own, before its job becomes a dead letter: whoever dies in between has a
//! mail that is noted to have failed and is tried again. The first attempt of a replay takes that back in the same way.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::headers::MailKey;
use super::outgoing::{MailState, OutgoingMail};
use super::server::MailServer;
use crate::clock::Clock;
use crate::data::{Repository, UnitOfWork};
use crate::di::{Inject, ScopeFactory};
use crate::domain::Aggregate;
use crate::error::{Result, chain};
use crate::work::{Job, JobHandler, Run};

/// Bring a mail to the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendMail {
    /// Which.
    pub key: MailKey,
}

impl Job for SendMail {
    const KIND: &'static str = "send-mail";
    const QUEUE: &'static str = "mail";
    /// Three and a half days, as pauses are five minutes on average once they have grown: a server that is away for a
    /// weekend costs no mail. RFC 5321, section 4.5.4.1, asks for four to five days of those that relay between strangers.
    const ATTEMPTS_MAX: u32 = 1_000;
    type Output = ();
    type Handler = SendMailHandler;
}

/// Does [`SendMail`].
#[derive(Inject)]
pub struct SendMailHandler {
    outgoing: Repository<OutgoingMail>,
    server: Option<Arc<dyn MailServer>>,
    clock: Clock,
    run: Run,
    scopes: ScopeFactory,
}

impl SendMailHandler {
    /// Changes a mail in a unit of work of its own, unless somebody else has since it was read.
    async fn note(&self, read: &OutgoingMail, change: impl FnOnce(&mut OutgoingMail)) -> Result<()> {
        let scope = self.scopes.scope()?;
        let outgoing: Repository<OutgoingMail> = scope.inject()?;
        if let Some(mut mail) = outgoing.get(read.key()).await?
            && mail.version() == read.version()
        {
            change(&mut mail);
            outgoing.save(&mut mail)?;
            scope.get::<UnitOfWork>()?.commit().await?;
        }
        scope.close().await;
        Ok(())
    }
}

impl JobHandler<SendMail> for SendMailHandler {
    async fn run(&self, job: SendMail) -> Result<()> {
        let Some(mut mail) = self.outgoing.get(&job.key).await? else { return Ok(()) };
        match &self.server {
            _ if mail.state() == MailState::Sent => return Ok(()),
            Some(server) => {
                if let Err(refused) = server.deliver(&mail.message()).await {
                    let noted = match mail.state() {
                        _ if self.run.ends_with(&refused)? => {
                            self.note(&mail, |mail| mail.failed(self.clock.now())).await
                        }
                        // Its dead letter was replayed, and it must not be forgotten meanwhile.
                        MailState::Failed => self.note(&mail, OutgoingMail::queue).await,
                        _ => Ok(()),
                    };
                    if let Err(error) = noted {
                        tracing::warn!(error = chain(&error), "it could not be noted what became of a mail");
                    }
                    return Err(refused);
                }
                mail.sent(self.clock.now());
            }
            // It was detached meanwhile, and whoever attaches the next one finds the mail.
            None => mail.wait(),
        }
        self.outgoing.save(&mut mail)
    }
}
