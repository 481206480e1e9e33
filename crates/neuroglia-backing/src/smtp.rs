//! Mail servers, over SMTP.
//!
//! # Design notes
//! * **Who refuses?** A word against the message (`5xx` after `MAIL`) ends it for good; a word against us (a wrong
//!   password, no encryption, a greeting that sends us away) is the server's trouble, and the mail waits. So connecting
//!   and sending are separate steps, on connections of our own; lettre's pool would tell them apart no more.
//! * **Bounded.** Four connections at most; each is used for a hundred messages and closed after thirty seconds without
//!   one. Every step has its time, and all of them together less than a job has.
//! * **A server that is away** is not asked by everybody: for five seconds after a failed connection the others fail at
//!   once, so that mail does not take the places of other work.
//! * **What we say of an answer** is its code and nothing of its text, which may name whom the mail is for.

mod connections;
mod envelope;
mod failure;
mod location;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::error::{Error, Result};
use neuroglia::health::Details;
use neuroglia::mail::{MailServer, Message};
use tokio::time::timeout;
use url::Url;

use connections::Connections;
use location::Location;

/// Whether [`open`] could take such a URL, without touching anything.
///
/// # Errors
/// What is wrong with it, as a fragment for the report of settings.
pub fn check_url(url: &Url) -> Result<(), String> {
    Location::of(url).map(drop)
}

/// The server that the URL names. Nobody is connected to yet: a server that is away does not hold up a start.
///
/// # Errors
/// [`ErrorKind::Invalid`](neuroglia::error::ErrorKind::Invalid) for a URL that [`check_url`] refuses, and for a file of
/// an authority that is no certificate.
pub async fn open(url: Url) -> Result<Arc<dyn MailServer>> {
    let location = Location::of(&url).map_err(|fault| Error::invalid("mail.url", fault))?;
    Ok(Arc::new(SmtpServer { connections: Connections::to(location).await? }))
}

/// A mail server, over SMTP.
pub struct SmtpServer {
    connections: Connections,
}

impl SmtpServer {
    /// How long a message may take, from its first command to the server's last word.
    pub const MESSAGE_TIMEOUT: Duration = Duration::from_secs(25);
}

#[async_trait]
impl MailServer for SmtpServer {
    fn kind(&self) -> &'static str {
        "smtp"
    }

    async fn deliver(&self, message: &Message) -> Result<()> {
        let (envelope, content) = envelope::seal(message)?;
        let mut connection = self.connections.get().await?;
        // Whatever goes wrong, and when this future is dropped, the connection is gone with what was said on it.
        let sent = timeout(Self::MESSAGE_TIMEOUT, connection.wire().send(&envelope, &content)).await;
        match sent {
            Ok(Ok(_)) => {
                connection.keep();
                Ok(())
            }
            Ok(Err(error)) => Err(failure::of_message(&error)),
            Err(_) => Err(failure::late("the message", Self::MESSAGE_TIMEOUT)),
        }
    }

    async fn check(&self) -> Result<Details> {
        let mut connection = self.connections.get().await?;
        let name = connection.wire().server_info().name().to_owned();
        connection.keep();
        Ok(Details::new().with("server", name))
    }
}

impl fmt::Debug for SmtpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpServer").field("connections", &self.connections).finish()
    }
}
