//! Mail waits in the store, until a server is attached that sends it.

use std::sync::Arc;

use async_trait::async_trait;
use neuroglia::clock::{Clock, Timestamp};
use neuroglia::data::Repository;
use neuroglia::di::{Inject, ServiceCollection};
use neuroglia::domain::{Aggregate, Root};
use neuroglia::error::Result;
use neuroglia::settings::Settings;
use pizzeria_application::customers::{Mail, Mailer};
use pizzeria_domain::customer::EmailAddress;
use serde::{Deserialize, Serialize};

/// Who sends mail.
#[derive(Settings)]
pub struct MailSettings {
    /// From whom mail to customers is.
    #[setting(default = "orders@marios-pizzeria.example")]
    pub mail_from: EmailAddress,
}

/// The sender of all mail; a service of the application.
struct Sender(EmailAddress);

/// A message that waits in the store to be sent.
#[derive(Debug, Serialize, Deserialize)]
pub struct OutgoingMail {
    /// The message's key, by which it is there once.
    key: String,
    /// The `Message-ID` of every attempt to send it.
    message_id: String,
    from: EmailAddress,
    to: EmailAddress,
    subject: String,
    text: String,
    state: MailState,
    at: Timestamp,
    #[serde(skip)]
    root: Root,
}

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailState {
    /// Nobody has sent it yet.
    Waiting,
}

impl Aggregate for OutgoingMail {
    type Id = String;
    const COLLECTION: &'static str = "outgoing_mail";

    fn id(&self) -> &String {
        &self.key
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}

/// Registers the mailer that keeps messages in the store.
pub fn register(services: &mut ServiceCollection, settings: &MailSettings) {
    services.add_instance(Sender(settings.mail_from.clone()));
    services.add_scoped::<dyn Mailer, StoredMail>();
}

/// Keeps messages in the store, in the unit of work that asks for them.
#[derive(Inject)]
#[provides(dyn Mailer)]
struct StoredMail {
    outgoing: Repository<OutgoingMail>,
    sender: Arc<Sender>,
    clock: Clock,
}

#[async_trait]
impl Mailer for StoredMail {
    async fn send(&self, mail: Mail) -> Result<()> {
        let Mail { key, to, subject, text } = mail;
        if self.outgoing.get(&key).await?.is_some() {
            return Ok(());
        }
        let Sender(from) = &*self.sender;
        let host = from.as_str().rsplit('@').next().unwrap_or_default();
        self.outgoing.save(&mut OutgoingMail {
            message_id: format!("<{key}@{host}>"),
            from: from.clone(),
            to,
            subject,
            text,
            state: MailState::Waiting,
            at: self.clock.now(),
            key,
            root: Root::default(),
        })
    }
}
