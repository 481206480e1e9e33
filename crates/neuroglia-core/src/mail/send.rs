//! Bring a mail to the server.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::headers::MailKey;
use super::outgoing::{MailState, OutgoingMail};
use super::server::MailServer;
use crate::clock::Clock;
use crate::data::Repository;
use crate::di::Inject;
use crate::error::Result;
use crate::work::{Job, JobHandler};

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
}

impl JobHandler<SendMail> for SendMailHandler {
    async fn run(&self, job: SendMail) -> Result<()> {
        let Some(mut mail) = self.outgoing.get(&job.key).await? else { return Ok(()) };
        match &self.server {
            _ if mail.state() == MailState::Sent => return Ok(()),
            Some(server) => {
                server.deliver(&mail.message()).await?;
                mail.sent(self.clock.now());
            }
            // It was detached meanwhile, and whoever attaches the next one finds the mail.
            None => mail.wait(),
        }
        self.outgoing.save(&mut mail)
    }
}
