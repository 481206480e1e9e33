//! The parts of an application that sends mail, each a function for its composition root.

use std::sync::Arc;

use async_trait::async_trait;

use super::address::EmailAddress;
use super::mailer::Sender;
use super::send::SendMail;
use super::server::MailServer;
use super::waiting::{ForgetOldMail, ForgetSentMail, QueueWaitingMail, SendWaitingMail};
use crate::di::{Inject, Service, ServiceCollection};
use crate::error::Result;
use crate::health::{Details, Indicator};
use crate::mediation::Messages;
use crate::schedule::Scheduler;
use crate::work::Worker;

/// Registers from whom all mail is. Without [`attach`], mail waits in the store.
pub fn register(services: &mut ServiceCollection, from: EmailAddress) {
    services.add_instance(Sender(from));
}

/// Attaches a mail server, which is opened when the application starts.
///
/// It reports its health as `mail`, which readiness does not depend on: mail that cannot be sent waits.
pub fn attach<F, O>(services: &mut ServiceCollection, open: F)
where
    F: FnOnce() -> O + Send + Sync + 'static,
    O: Future<Output = Result<Arc<dyn MailServer>>> + Send + 'static,
{
    services.add(Service::connected::<dyn MailServer, (), _, _>(move |()| open()));
    services.add_singleton::<dyn Indicator, MailIndicator>();
}

/// The messages of mail.
pub fn messages(messages: Messages) -> Messages {
    messages.command::<QueueWaitingMail>().command::<ForgetSentMail>()
}

/// The job that sends mail.
pub fn worker(worker: Worker) -> Worker {
    worker.job::<SendMail>()
}

/// What is done about mail again and again.
pub fn scheduler(scheduler: Scheduler) -> Scheduler {
    scheduler.task::<SendWaitingMail>().task::<ForgetOldMail>()
}

/// Whether the mail server answers.
#[derive(Inject)]
#[provides(dyn Indicator)]
struct MailIndicator {
    server: Arc<dyn MailServer>,
}

#[async_trait]
impl Indicator for MailIndicator {
    fn name(&self) -> &str {
        "mail"
    }

    fn kind(&self) -> &str {
        self.server.kind()
    }

    fn required(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<Details> {
        self.server.check().await
    }
}
