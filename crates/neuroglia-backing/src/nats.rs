//! Events through NATS JetStream.
//!
//! The stream `<application>` keeps every event under `<application>.events.<type>`, and each consumer has a durable
//! consumer in it, with its own name; every process of the application declares all of them before it publishes, so that
//! nobody misses what was raised for them. What cannot be understood is kept under `<application>.dead.<consumer>` in the
//! stream `<application>-dead`. A stream that is there already is used as it is, if it takes these subjects.
//!
//! An event has arrived when the server has acknowledged it; `Nats-Msg-Id` lets it recognise one that is sent again
//! within its window of duplicates, and consumers recognise it for ever longer.
//!
//! A private authority is trusted by `?cacertfile=/path/to/authority.pem`.

mod queue;
mod stream;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::{ContextBuilder, PublishAckFuture, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::{Client, ConnectOptions, ServerAddr};
use async_trait::async_trait;
use futures_util::future::join_all;
use neuroglia::di::{Lifetime, Service, ServiceCollection};
use neuroglia::error::{Error, Result};
use neuroglia::health::{Details, Indicator};
use neuroglia::messaging::{
    CloudEvent, EventBus, EventQueue, EventSource, Origin, Subscriptions, register_broker,
};
use percent_encoding::percent_decode_str;
use rustls::ClientConfig;
use tokio::time::timeout;
use url::Url;

use crate::bus::BusOptions;

/// Gives an application this bus.
pub(crate) fn attach(services: &mut ServiceCollection, url: Url, _: BusOptions) {
    services.add(Service::factory::<NatsBus, (Arc<Origin>, Arc<Subscriptions>), _>(
        Lifetime::Singleton,
        move |(origin, subscriptions)| {
            NatsBus::new(&url, NatsOptions::default(), origin, subscriptions).map(Arc::new)
        },
    ));
    register_broker::<NatsBus>(services);
}

/// How long the server has to acknowledge a batch, connecting included; the relay gives a bus five seconds.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(4);

/// How long a connection may take to be made, and the server to answer a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// How often the client asks whether the server lives; two without an answer, and it connects again.
const PING_INTERVAL: Duration = Duration::from_secs(4);

/// The longest pause between two connections; it doubles from a hundredth of a second.
const RECONNECT_MAX: Duration = Duration::from_secs(2);

/// The media type of an event in the JSON format.
const STRUCTURED: &str = "application/cloudevents+json";

/// What can be chosen about a [`NatsBus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NatsOptions {
    /// How long a message may be in somebody's hands unacknowledged, and unheard of, before it comes again, where the
    /// durable consumer is made here; 20 s by default: who holds a message says so every few seconds, and the store has
    /// five to take it.
    pub acknowledgement_wait: Duration,
}

impl Default for NatsOptions {
    fn default() -> Self {
        Self { acknowledgement_wait: Duration::from_secs(20) }
    }
}

/// The bus, and what it keeps for each consumer.
pub struct NatsBus {
    address: Address,
    tls: ClientConfig,
    options: NatsOptions,
    origin: Arc<Origin>,
    subscriptions: Arc<Subscriptions>,
    context: Mutex<Option<Context>>,
    /// Whether everything is known to be declared.
    is_declared: AtomicBool,
}

/// Where the server is, and who asks.
struct Address {
    server: ServerAddr,
    user: Option<(String, String)>,
    token: Option<String>,
    authority: Option<PathBuf>,
    is_encrypted: bool,
}

/// Whether there can be a bus at such a URL.
///
/// # Errors
/// What is wrong with it, as a fragment for the report of settings.
pub fn check_url(url: &Url) -> Result<(), String> {
    Address::of(url).map(drop)
}

impl Address {
    fn of(url: &Url) -> Result<Self, String> {
        if !url.has_host() {
            return Err("it names no host: nats://user:password@host:4222".to_owned());
        }
        if !matches!(url.path(), "" | "/") {
            return Err("it has a path, and NATS knows none".to_owned());
        }
        if let Some((name, _)) = url.query_pairs().find(|(name, _)| name != "cacertfile") {
            return Err(format!("there is no parameter {name}: use cacertfile"));
        }
        let text = |encoded: &str| {
            let decoded = percent_decode_str(encoded).decode_utf8().map(Cow::into_owned);
            decoded.map_err(|_| "user and password must be UTF-8, percent-encoded".to_owned())
        };
        let name = text(url.username())?;
        let (user, token) = match url.password() {
            Some(password) => (Some((name, text(password)?)), None),
            None if name.is_empty() => (None, None),
            None => (None, Some(name)),
        };
        let mut plain = url.clone();
        let cleared = plain.set_username("").and_then(|()| plain.set_password(None));
        cleared.map_err(|()| "it is no address of a server: nats://user:password@host:4222".to_owned())?;
        plain.set_query(None);
        let server = plain
            .as_str()
            .parse()
            .map_err(|_| "it is no address of a server: nats://user:password@host:4222".to_owned())?;
        let authority = url.query_pairs().find(|(name, _)| name == "cacertfile");
        let is_encrypted = url.scheme() == "tls";
        if authority.is_some() && !is_encrypted {
            return Err(
                "cacertfile says whose certificate a server has: use tls://, which asks for one".to_owned()
            );
        }
        let authority = authority.map(|(_, path)| PathBuf::from(path.into_owned()));
        Ok(Self { server, user, token, authority, is_encrypted })
    }

    async fn connect(&self, name: &str, tls: ClientConfig) -> Result<Client> {
        let mut options = ConnectOptions::new()
            .name(name)
            .connection_timeout(REQUEST_TIMEOUT)
            .request_timeout(Some(REQUEST_TIMEOUT))
            .ping_interval(PING_INTERVAL)
            .reconnect_delay_callback(|attempt| {
                let doublings = u32::try_from(attempt).unwrap_or(u32::MAX).min(10);
                let longest = Duration::from_millis(10).saturating_mul(1 << doublings).min(RECONNECT_MAX);
                longest / 2 + longest.mul_f64(fastrand::f64() / 2.0)
            })
            .require_tls(self.is_encrypted)
            .tls_client_config(tls);
        if let Some((user, password)) = &self.user {
            options = options.user_and_password(user.clone(), password.clone());
        }
        if let Some(token) = &self.token {
            options = options.token(token.clone());
        }
        options.connect(self.server.clone()).await.map_err(Error::unavailable)
    }
}

impl NatsBus {
    /// The bus at this URL, for the events of this origin and those who want them. It connects when it is needed.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](neuroglia::error::ErrorKind::Invalid) for a URL that [`check_url`] refuses, and for a file of
    /// authorities that it names and that cannot be used.
    pub fn new(
        url: &Url,
        options: NatsOptions,
        origin: Arc<Origin>,
        subscriptions: Arc<Subscriptions>,
    ) -> Result<Self> {
        let address = Address::of(url).map_err(|fault| Error::invalid("bus.url", fault))?;
        let tls = crate::tls::client_config(address.authority.as_deref())?;
        let (context, is_declared) = (Mutex::default(), AtomicBool::new(false));
        Ok(Self { address, tls, options, origin, subscriptions, context, is_declared })
    }

    fn consumers(&self) -> BTreeSet<&str> {
        self.subscriptions.0.iter().map(|subscription| subscription.consumer.as_str()).collect()
    }

    /// The subjects of a consumer's events, in every version.
    fn filters(&self, consumer: &str) -> BTreeSet<String> {
        let own = self.subscriptions.0.iter().filter(|subscription| subscription.consumer == consumer);
        let (application, prefix) = (self.origin.application(), &self.origin.prefix);
        own.map(|subscription| format!("{application}.events.{prefix}.{}.*", subscription.event)).collect()
    }

    /// The client, which connects again by itself once it has been connected. Until it has, nothing is given to it: it
    /// would keep each of many tries, and send them all when the server is back.
    async fn context(&self) -> Result<Context> {
        let kept = self.context.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(context) = kept {
            return match context.client().connection_state() {
                State::Connected => Ok(context),
                State::Pending | State::Disconnected => {
                    Err(Error::unavailable("the connection to the server was lost"))
                }
            };
        }
        let connecting = self.address.connect(self.origin.application(), self.tls.clone());
        let connecting = timeout(REQUEST_TIMEOUT, connecting).await;
        let client = connecting.map_err(|_| Error::unavailable("the server does not answer"))??;
        if !client.is_server_compatible(2, 10, 0) {
            return Err(Error::unavailable("the server is older than NATS 2.10; use a newer one"));
        }
        let context =
            ContextBuilder::new().timeout(REQUEST_TIMEOUT).ack_timeout(PUBLISH_TIMEOUT).build(client);
        let mut kept = self.context.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(kept.get_or_insert(context).clone())
    }

    /// The client, when all that events lead to is declared.
    async fn declared(&self) -> Result<Context> {
        let context = self.context().await?;
        if !self.is_declared.load(Ordering::Acquire) {
            stream::declare(&context, self).await?;
            for consumer in self.consumers() {
                stream::declare_consumer(&context, self, consumer).await?;
            }
            self.is_declared.store(true, Ordering::Release);
        }
        Ok(context)
    }

    /// Publishes all events, then waits for all acknowledgements.
    async fn send(&self, events: &[CloudEvent]) -> Result<Vec<Result<()>>> {
        let context = self.declared().await?;
        let mut sent = Vec::with_capacity(events.len());
        for event in events {
            let subject = format!("{}.events.{}", self.origin.application(), event.event_type);
            let body = serde_json::to_vec(event).map_err(Error::internal)?;
            let message = PublishMessage::build()
                .payload(body.into())
                .header(async_nats::header::NATS_MESSAGE_ID, event.id.as_str())
                .header("Content-Type", STRUCTURED);
            sent.push(context.send_publish(subject, message).await);
        }
        let acknowledged = join_all(sent.into_iter().map(acknowledged)).await;
        Ok(acknowledged.into_iter().map(|outcome| outcome.map_err(|error| self.unsent(error))).collect())
    }

    fn unsent(&self, error: PublishError) -> Error {
        match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => {
                Error::invalid("event.refused", "it is larger than the server takes").with_source(error)
            }
            _ => {
                // Somebody may have deleted the stream, or a server without its data stands in for another.
                self.is_declared.store(false, Ordering::Release);
                Error::unavailable(error)
            }
        }
    }
}

/// Waits until a message that was sent is kept.
async fn acknowledged(sent: Result<PublishAckFuture, PublishError>) -> Result<(), PublishError> {
    sent?.await.map(drop)
}

#[async_trait]
impl EventBus for NatsBus {
    fn name(&self) -> &'static str {
        "nats"
    }

    async fn publish(&self, events: &[CloudEvent]) -> Vec<Result<()>> {
        let sent = timeout(PUBLISH_TIMEOUT, self.send(events)).await;
        let outcomes =
            sent.unwrap_or_else(|_| Err(Error::unavailable("the server did not acknowledge in time")));
        outcomes.unwrap_or_else(|error| events.iter().map(|_| Err(error.echo())).collect())
    }
}

#[async_trait]
impl EventSource for NatsBus {
    fn name(&self) -> &'static str {
        "nats"
    }

    fn keeps_turns(&self) -> bool {
        false
    }

    async fn open(&self, consumer: &str) -> Result<Box<dyn EventQueue>> {
        let context = self.context().await?;
        stream::declare(&context, self).await?;
        let pulled = stream::declare_consumer(&context, self, consumer).await?;
        let application = self.origin.application();
        let queue = queue::Queue::open(context, pulled, format!("{application}.dead.{consumer}"));
        Ok(Box::new(queue))
    }
}

#[async_trait]
impl Indicator for NatsBus {
    fn name(&self) -> &str {
        "event-bus"
    }

    fn kind(&self) -> &str {
        "nats"
    }

    /// Events wait in the outbox while it is away, and nothing else is waited for.
    fn required(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<Details> {
        let context = self.context().await?;
        context.query_account().await.map_err(Error::unavailable)?;
        Ok(Details::of_version(context.client().server_info().version))
    }
}

impl fmt::Debug for NatsBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsBus")
            .field("origin", &self.origin)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
