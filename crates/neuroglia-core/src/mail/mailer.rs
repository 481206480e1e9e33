//! What a handler gives mail to.

use std::sync::Arc;

use super::address::EmailAddress;
use super::headers::MailKey;
use super::letter::Letter;
use super::outgoing::{MailState, OutgoingMail};
use super::send::SendMail;
use super::server::MailServer;
use crate::clock::Clock;
use crate::data::Repository;
use crate::di::Inject;
use crate::error::{Error, Result};
use crate::work::Jobs;

/// A letter to one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// What makes it this mail: the same key again is the same mail.
    pub key: MailKey,
    /// To whom.
    pub to: EmailAddress,
    /// What it says.
    pub letter: Letter,
}

impl Mail {
    /// A letter to somebody, by a key that the application makes of ids and fixed words.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::error::ErrorKind::Internal) for a key that is none.
    pub fn new(key: impl AsRef<str>, to: EmailAddress, letter: Letter) -> Result<Self> {
        Ok(Self { key: key.as_ref().parse().map_err(Error::internal)?, to, letter })
    }
}

/// From whom all mail of an application is; a service of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender(pub EmailAddress);

/// Sends mail, as a part of the running unit of work: a mail is on its way if and only if the change is.
///
/// ```
/// # extern crate neuroglia_core as neuroglia;
/// use neuroglia::di::Inject;
/// use neuroglia::error::Result;
/// use neuroglia::mail::{EmailAddress, Letter, Mail, Mailer};
///
/// #[derive(Inject)]
/// struct Welcome { mailer: Mailer }
///
/// impl Welcome {
///     async fn greet(&self, user: &str, to: EmailAddress) -> Result<()> {
///         let letter = Letter::about("Welcome").paragraph("We are glad that you are here.");
///         self.mailer.send(Mail::new(format!("welcome.{user}"), to, letter)?).await
///     }
/// }
/// ```
#[derive(Inject)]
pub struct Mailer {
    outgoing: Repository<OutgoingMail>,
    jobs: Jobs,
    sender: Arc<Sender>,
    server: Option<Arc<dyn MailServer>>,
    clock: Clock,
}

impl Mailer {
    /// Sends the mail, unless one with its key is on its way or was sent not long ago. One that has failed is replaced.
    ///
    /// # Errors
    /// When the store cannot be reached, and in a query.
    pub async fn send(&self, mail: Mail) -> Result<()> {
        let before = self.outgoing.get(&mail.key).await?;
        let mut outgoing = OutgoingMail::write(mail, &self.sender, self.clock.now());
        match before {
            Some(failed) if failed.state() == MailState::Failed => outgoing = outgoing.instead_of(failed),
            Some(_) => return Ok(()),
            None => {}
        }
        if self.server.is_some() {
            self.jobs.enqueue(&SendMail { key: outgoing.key().clone() })?;
            outgoing.queue();
        }
        self.outgoing.save(&mut outgoing)
    }
}

impl std::fmt::Debug for Mailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailer")
            .field("sender", &self.sender)
            .field("server", &self.server.as_ref().map(|server| server.kind()))
            .finish_non_exhaustive()
    }
}
