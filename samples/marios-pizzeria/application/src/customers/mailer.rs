//! The port to whatever brings mail to customers.

use async_trait::async_trait;
use neuroglia::error::Result;
use pizzeria_domain::customer::EmailAddress;

/// A message to one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// What makes it this message: the same key again is the same message. Letters, digits, points and hyphens.
    pub key: String,
    /// To whom.
    pub to: EmailAddress,
    /// What it is about; nothing that only its reader may know.
    pub subject: String,
    /// What it says.
    pub text: String,
}

/// Sends mail, as a part of the running unit of work: a message is on its way if and only if the change is.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Sends the message, unless one with its key was sent.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn send(&self, mail: Mail) -> Result<()>;
}
