//! A mail as the store keeps it: until it was sent, and a while longer.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::address::EmailAddress;
use super::headers::{MailKey, MessageId, Subject};
use super::mailer::{Mail, Sender};
use super::server::Message;
use crate::clock::Timestamp;
use crate::data::Field;
use crate::domain::{Aggregate, Root};
use crate::work::DEAD_KEEP;

/// A mail on its way; its id is its key, so that it is there once.
///
/// An application that sends mail creates its collection, with an index on each of the two paths.
#[derive(Debug, Serialize, Deserialize)]
pub struct OutgoingMail {
    key: MailKey,
    message_id: MessageId,
    from: EmailAddress,
    to: EmailAddress,
    subject: Subject,
    text: String,
    #[serde(default)]
    html: Option<String>,
    state: MailState,
    at: Timestamp,
    #[serde(default)]
    sent_at: Option<Timestamp>,
    #[serde(default)]
    failed_at: Option<Timestamp>,
    #[serde(skip)]
    root: Root,
}

/// How far a mail has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailState {
    /// No server was attached when it was written.
    Waiting,
    /// A job is to send it.
    Queued,
    /// The server has taken it.
    Sent,
    /// Nobody tries any more, as the server refuses it for good or has not taken it for days; its job is a dead letter.
    Failed,
}

impl MailState {
    /// Its name in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for MailState {
    type Err = UnknownMailState;

    fn from_str(text: &str) -> Result<Self, UnknownMailState> {
        let states = [Self::Waiting, Self::Queued, Self::Sent, Self::Failed];
        states.into_iter().find(|state| state.as_str() == text).ok_or(UnknownMailState)
    }
}

/// A text that names no state of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownMailState;

impl fmt::Display for UnknownMailState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be waiting, queued, sent or failed")
    }
}

impl std::error::Error for UnknownMailState {}

impl OutgoingMail {
    /// How long it is kept after it was sent; a mail with its key is not sent again meanwhile.
    pub const KEEP: Duration = Duration::from_secs(7 * 24 * 60 * 60);
    /// How long it is kept after it has failed: as long as its job can be replayed.
    pub const KEEP_FAILED: Duration = DEAD_KEEP;
    /// The path of its state.
    pub const STATE_PATH: &'static str = "state";
    /// The path of the moment at which it was sent.
    pub const SENT_AT_PATH: &'static str = "sent_at";

    /// Its state.
    pub const STATE: Field<Self, String> = Field::new(Self::STATE_PATH);
    /// When it was written.
    pub const AT: Field<Self, Timestamp> = Field::new("at");
    /// To whom it is.
    pub const TO: Field<Self, String> = Field::new("to");
    /// When it was sent.
    pub const SENT_AT: Field<Self, Timestamp> = Field::new(Self::SENT_AT_PATH);
    /// When it has failed.
    pub const FAILED_AT: Field<Self, Timestamp> = Field::new("failed_at");

    /// One that was written now and waits.
    pub(super) fn write(mail: Mail, sender: &Sender, at: Timestamp) -> Self {
        let Mail { key, to, letter } = mail;
        Self {
            message_id: MessageId::new(&key, &sender.0),
            from: sender.0.clone(),
            to,
            subject: letter.subject().clone(),
            text: letter.text(),
            html: Some(letter.html()),
            state: MailState::Waiting,
            at,
            sent_at: None,
            failed_at: None,
            key,
            root: Root::default(),
        }
    }

    pub(super) fn wait(&mut self) {
        self.state = MailState::Waiting;
    }

    pub(super) fn queue(&mut self) {
        (self.state, self.failed_at) = (MailState::Queued, None);
    }

    pub(super) fn sent(&mut self, at: Timestamp) {
        (self.state, self.sent_at, self.failed_at) = (MailState::Sent, Some(at), None);
    }

    pub(super) fn failed(&mut self, at: Timestamp) {
        (self.state, self.failed_at) = (MailState::Failed, Some(at));
    }

    /// This mail in the place of one with its key that has failed.
    pub(super) fn instead_of(self, failed: Self) -> Self {
        Self { root: failed.root, ..self }
    }

    /// What makes it this mail.
    pub fn key(&self) -> &MailKey {
        &self.key
    }

    /// How far it has come.
    pub const fn state(&self) -> MailState {
        self.state
    }

    /// What goes to the server, the same in every attempt.
    pub fn message(&self) -> Message {
        Message {
            message_id: self.message_id.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            subject: self.subject.clone(),
            text: self.text.clone(),
            html: self.html.clone(),
            written_at: self.at,
        }
    }
}

impl Aggregate for OutgoingMail {
    type Id = MailKey;
    const COLLECTION: &'static str = "outgoing_mail";

    fn id(&self) -> &MailKey {
        &self.key
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_of_an_earlier_release_is_read_as_it_waits() {
        let document = r#"{"key": "o-1.ready", "message_id": "<o-1.ready@pizza.example>", "from": "mario@pizza.example",
            "to": "ada@example.com", "subject": "Your pizza is ready: order o-1", "text": "Dear Ada", "state": "waiting",
            "at": "2026-11-24T10:30:00Z"}"#;
        let mail: OutgoingMail = serde_json::from_str(document).expect("a mail");
        assert_eq!((mail.state(), mail.message().html), (MailState::Waiting, None));
        assert_eq!(mail.message().message_id.as_str(), "<o-1.ready@pizza.example>");
    }

    #[test]
    fn states_have_the_names_that_documents_have() {
        for state in [MailState::Waiting, MailState::Queued, MailState::Sent, MailState::Failed] {
            assert_eq!(serde_json::to_value(state).expect("a text"), state.as_str());
            assert_eq!(state.as_str().parse(), Ok(state));
        }
    }
}
