//! The port to what takes mail and brings it on.

use async_trait::async_trait;

use super::address::EmailAddress;
use super::headers::{MessageId, Subject};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::health::Details;

/// A message as it goes to a server: all that an adapter needs, and nothing that could be more than one header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The `Message-ID` of every attempt.
    pub message_id: MessageId,
    /// From whom.
    pub from: EmailAddress,
    /// To whom.
    pub to: EmailAddress,
    /// What it is about.
    pub subject: Subject,
    /// What it says, in lines that end with `\n`.
    pub text: String,
    /// The same as a document of HTML, for those who read that.
    pub html: Option<String>,
    /// When it was written: the `Date` of every attempt.
    pub written_at: Timestamp,
}

/// A server that takes mail; an attached resource, chosen by configuration.
///
/// What an adapter must do is written down rule by rule in `neuroglia_testing::conformance::mail`.
#[async_trait]
pub trait MailServer: Send + Sync {
    /// What it is, such as `smtp`; never a URL.
    fn kind(&self) -> &'static str;

    /// Hands the message over; back with `Ok` only when the server has taken responsibility for it.
    ///
    /// # Errors
    /// [`refused`] when the server will never take this message;
    /// [`ErrorKind::Unavailable`] when it does not take it now, cannot be reached, or was not heard to the end: then it
    /// may have taken it all the same.
    async fn deliver(&self, message: &Message) -> Result<()>;

    /// Asks it whether it would take mail, in the cheapest way that proves it answers.
    ///
    /// # Errors
    /// When it does not answer, or does not let us in.
    async fn check(&self) -> Result<Details>;
}

/// The code of [`refused`].
pub const REFUSED: &str = "mail.refused";

/// The error of a message that the server will never take; `reply` is its status, and nothing of the message.
pub fn refused(reply: &str) -> Error {
    Error::new(ErrorKind::Invalid, REFUSED, format!("the mail server refuses the message for good ({reply})"))
}
