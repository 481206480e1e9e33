//! The connections to a mail server: few, encrypted and let in before they are given to anybody.

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{DEFAULT_MECHANISMS, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::extension::ClientId;
use neuroglia::error::{Error, Result};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use super::failure;
use super::location::{Encryption, Location};

/// How many there are at once.
const CONNECTIONS_MAX: usize = 4;

/// For how many messages one is used.
const MESSAGES_MAX: u32 = 100;

/// How long one is kept without a message; servers close theirs after five minutes (RFC 5321, section 4.5.3.2.7).
const IDLE_MAX: Duration = Duration::from_secs(30);

/// How long one may have to be waited for.
const PLACE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the network may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long it may take until the server has greeted us, is spoken to by TLS and has let us in.
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);

/// How long one that was kept may take to say that it is still there.
const ALIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// For how long nobody else tries after a failure.
const AWAY: Duration = Duration::from_secs(5);

/// The connections to one server.
pub(super) struct Connections {
    location: Location,
    tls: TlsParameters,
    hello: ClientId,
    places: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Kept>,
    /// Until when the server is taken to be away.
    away_until: Option<Instant>,
}

/// A connection with nothing to do.
struct Kept {
    wire: AsyncSmtpConnection,
    messages: u32,
    since: Instant,
}

/// A connection in use. Dropped, it is closed; [`Connection::keep`] keeps it for others.
pub(super) struct Connection<'a> {
    wire: AsyncSmtpConnection,
    messages: u32,
    home: &'a Connections,
    _place: SemaphorePermit<'a>,
}

impl Connections {
    pub(super) async fn to(location: Location) -> Result<Self> {
        let mut tls = TlsParametersBuilder::new(location.host.clone());
        if let Some(file) = &location.authority {
            // Whoever names an authority trusts no other.
            tls = tls.certificate_store(CertificateStore::None);
            tls = tls.add_root_certificate(certificates(file).await?);
        }
        let tls = tls
            .build()
            .map_err(|cause| Error::invalid("mail.tls", "TLS cannot be prepared").with_source(cause))?;
        Ok(Self {
            location,
            tls,
            hello: ClientId::default(),
            places: Semaphore::new(CONNECTIONS_MAX),
            state: Mutex::default(),
        })
    }

    /// One that the server has let in, kept or new.
    pub(super) async fn get(&self) -> Result<Connection<'_>> {
        let place = timeout(PLACE_TIMEOUT, self.places.acquire()).await;
        let place =
            place.map_err(|_| failure::late("other mail", PLACE_TIMEOUT))?.map_err(Error::internal)?;
        let (mut wire, mut messages) = (None, 0);
        while wire.is_none()
            && let Some(mut kept) = self.take_idle()
        {
            if timeout(ALIVE_TIMEOUT, kept.wire.test_connected()).await == Ok(true) {
                (wire, messages) = (Some(kept.wire), kept.messages);
            }
        }
        let wire = match wire {
            Some(wire) => wire,
            None => self.open().await?,
        };
        Ok(Connection { wire, messages, home: self, _place: place })
    }

    async fn open(&self) -> Result<AsyncSmtpConnection> {
        if self.state().away_until.is_some_and(|until| Instant::now() < until) {
            return Err(failure::away("the mail server was away a moment ago".to_owned()));
        }
        let opened = failure::bounded(timeout(OPEN_TIMEOUT, self.let_in()).await, OPEN_TIMEOUT);
        self.state().away_until = opened.is_err().then(|| Instant::now() + AWAY);
        opened
    }

    async fn let_in(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let Location { host, port, encryption, credentials, .. } = &self.location;
        let wrapped = (*encryption == Encryption::Always).then(|| self.tls.clone());
        let server = (host.as_str(), *port);
        let mut wire =
            AsyncSmtpConnection::connect_tokio1(server, Some(CONNECT_TIMEOUT), &self.hello, wrapped, None)
                .await?;
        // Where it is required and not offered, asking for it is what fails.
        if *encryption == Encryption::Required
            || (*encryption == Encryption::Opportunistic && wire.can_starttls())
        {
            wire.starttls(self.tls.clone(), &self.hello).await?;
        }
        if let Some(credentials) = credentials {
            let mechanisms: &[Mechanism] = DEFAULT_MECHANISMS;
            wire.auth(mechanisms, credentials).await?;
        }
        Ok(wire)
    }

    /// One that has nothing to do, the last used first; those that had nothing to do for long are closed.
    fn take_idle(&self) -> Option<Kept> {
        let mut state = self.state();
        state.idle.retain(|kept| kept.since.elapsed() < IDLE_MAX);
        state.idle.pop()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection<'_> {
    /// The connection itself.
    pub(super) fn wire(&mut self) -> &mut AsyncSmtpConnection {
        &mut self.wire
    }

    /// Keeps it for the next message; it has carried one more.
    pub(super) fn keep(self) {
        let messages = self.messages + 1;
        if messages < MESSAGES_MAX && !self.wire.has_broken() {
            self.home.state().idle.push(Kept { wire: self.wire, messages, since: Instant::now() });
        }
    }
}

/// The certificates of an authority.
async fn certificates(file: &Path) -> Result<Certificate> {
    let fault = |what: &str| Error::invalid("mail.ca", format!("{} of `cacertfile=` {what}", file.display()));
    let pem = tokio::fs::read(file).await.map_err(|cause| fault("cannot be read").with_source(cause))?;
    // A file without any would be taken, and vouch for nobody.
    if !String::from_utf8_lossy(&pem).contains("BEGIN CERTIFICATE") {
        return Err(fault("has no certificate in PEM"));
    }
    Certificate::from_pem(&pem).map_err(|cause| fault("is no PEM").with_source(cause))
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("location", &self.location).finish_non_exhaustive()
    }
}
