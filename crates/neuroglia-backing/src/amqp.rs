//! Events through RabbitMQ, or another broker that speaks AMQP 0.9.1.
//!
//! The durable topic exchange `<application>.events` takes every event, with its type as the routing key. Each consumer
//! has a durable queue `<application>.<consumer>` and another, `<application>.<consumer>.dead`, for what cannot be
//! understood; every process of the application declares all of them before it publishes, so that nobody misses what was
//! raised for them. Queues are quorum queues with a single active consumer: replicated where the broker has several
//! nodes, and taken from by one process at a time, which keeps their order. Where the broker says that its
//! feature flag for them is off, they are durable classic queues. A queue that is there already is used as it is.
//!
//! A broker may be far away: all is declared side by side, so that it takes few round trips, however much it is.
//!
//! An event has arrived when the broker has confirmed it. When the connection is lost before that, it has not, and is
//! sent again. What the broker cannot route although a consumer wants it has not arrived either.
//!
//! A private authority is trusted by `?cacertfile=/path/to/authority.pem`.

mod line;
mod queue;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use lapin::options::BasicPublishOptions;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ErrorKind};
use neuroglia::di::{Lifetime, Service, ServiceCollection};
use neuroglia::error::{Error, Result};
use neuroglia::health::{Details, Indicator};
use neuroglia::messaging::{
    CloudEvent, EventBus, EventQueue, EventSource, Origin, Subscriptions, register_broker,
};
use tokio::time::timeout;
use url::Url;

use crate::bus::BusOptions;

use line::Line;

pub use line::check_url;

/// Gives an application this bus.
pub(crate) fn attach(services: &mut ServiceCollection, url: Url, _: BusOptions) {
    services.add(Service::factory::<AmqpBus, (Arc<Origin>, Arc<Subscriptions>), _>(
        Lifetime::Singleton,
        move |(origin, subscriptions)| AmqpBus::new(&url, origin, subscriptions).map(Arc::new),
    ));
    register_broker::<AmqpBus>(services);
}

/// How long the broker has to confirm a batch, connecting included; the relay gives a bus five seconds.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(4);

/// How many consumers are declared side by side, each by three channels: a broker may allow few.
const DECLARED_AT_ONCE: usize = 16;

/// The media type of an event in the JSON format.
const STRUCTURED: &str = "application/cloudevents+json";

/// What RabbitMQ says where the feature flag of quorum queues is off. What follows it may be cut off.
const NO_QUORUM_QUEUES: &str = "of type 'rabbit_quorum_queue'";

/// The exchange and the queues of an application, and what they are declared for.
#[derive(Debug)]
struct Topology {
    origin: Arc<Origin>,
    subscriptions: Arc<Subscriptions>,
    /// Whether the broker is known to offer no quorum queues.
    lacks_quorum_queues: AtomicBool,
}

impl Topology {
    fn exchange(&self) -> String {
        format!("{}.events", self.origin.application())
    }

    fn queue(&self, consumer: &str) -> String {
        format!("{}.{consumer}", self.origin.application())
    }

    fn dead_letters(&self, consumer: &str) -> String {
        format!("{}.dead", self.queue(consumer))
    }

    /// Which queues are declared.
    fn queue_type(&self) -> &'static str {
        if self.lacks_quorum_queues.load(Ordering::Relaxed) { "classic" } else { "quorum" }
    }

    /// Notes a refusal because the broker offers no quorum queues. It has ended the connection; the next try does
    /// without them.
    fn heed(&self, refusal: &lapin::Error) {
        let ErrorKind::ProtocolError(refusal) = refusal.kind() else { return };
        let is_internal = *refusal.kind() == AMQPErrorKind::Hard(AMQPHardError::INTERNALERROR);
        if is_internal
            && refusal.get_message().as_str().contains(NO_QUORUM_QUEUES)
            && !self.lacks_quorum_queues.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                bus = "rabbitmq",
                "the broker offers no quorum queues; classic ones are declared, which one node keeps"
            );
        }
    }

    fn consumers(&self) -> BTreeSet<&str> {
        self.subscriptions.0.iter().map(|subscription| subscription.consumer.as_str()).collect()
    }

    /// What is bound to a consumer's queue: its events, in every version.
    fn bindings<'a>(&'a self, consumer: &'a str) -> impl Iterator<Item = String> + 'a {
        let own = self.subscriptions.0.iter().filter(move |subscription| subscription.consumer == consumer);
        own.map(|subscription| format!("{}.{}.*", self.origin.prefix, subscription.event))
    }

    fn is_wanted(&self, event: &CloudEvent) -> bool {
        let name = self.origin.parse_type(&event.event_type).map(|(name, _)| name);
        self.subscriptions.0.iter().any(|subscription| Some(subscription.event.as_str()) == name)
    }
}

/// The bus, and the queues that it leads to.
pub struct AmqpBus {
    topology: Arc<Topology>,
    outgoing: Line,
    incoming: Line,
    /// Whoever publishes takes it out, and puts it back when all went well: what is cut off in the middle is gone.
    publisher: Mutex<Option<Publisher>>,
}

/// A channel on which the broker confirms, and its connection.
struct Publisher {
    channel: Channel,
    _connection: Arc<Connection>,
}

impl AmqpBus {
    /// The bus at this URL, for the events of this origin and those who want them. It connects when it is needed.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](neuroglia::error::ErrorKind::Invalid) for a URL that [`check_url`] refuses, and for a file of
    /// authorities that it names and that cannot be used.
    pub fn new(url: &Url, origin: Arc<Origin>, subscriptions: Arc<Subscriptions>) -> Result<Self> {
        let name = |way: &str| format!("{} {way}", origin.application());
        let (outgoing, incoming) = (Line::new(url, name("out"))?, Line::new(url, name("in"))?);
        let lacks_quorum_queues = AtomicBool::new(false);
        let topology = Arc::new(Topology { origin, subscriptions, lacks_quorum_queues });
        Ok(Self { topology, outgoing, incoming, publisher: Mutex::default() })
    }

    async fn publisher(&self) -> Result<Publisher> {
        let kept = self.publisher.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(publisher) = kept
            && publisher.channel.status().connected()
        {
            return Ok(publisher);
        }
        let connection = self.outgoing.connection().await?;
        let mut declaring = Vec::new();
        for consumer in self.topology.consumers() {
            declaring.push(line::declare_queue(&connection, &self.topology, consumer));
        }
        // All of them come to their end: why the broker ends the connection is told to one of them.
        let declaring = stream::iter(declaring).buffer_unordered(DECLARED_AT_ONCE).collect::<Vec<_>>();
        let (channel, declared) = tokio::join!(line::confirming(&connection, &self.topology), declaring);
        declared.into_iter().collect::<Result<()>>()?;
        Ok(Publisher { channel: channel?, _connection: connection })
    }

    /// Publishes all events, then waits for all confirmations.
    async fn send(&self, events: &[CloudEvent]) -> Result<Vec<Result<()>>> {
        let publisher = self.publisher().await?;
        let (exchange, mut confirmations) = (self.topology.exchange(), Vec::with_capacity(events.len()));
        for event in events {
            let body = serde_json::to_vec(event).map_err(Error::internal)?;
            let properties = BasicProperties::default()
                .with_content_type(STRUCTURED.into())
                .with_delivery_mode(2)
                .with_message_id(event.id.as_str().into());
            let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
            let routing_key = event.event_type.as_str().into();
            let sent = publisher.channel.basic_publish(
                exchange.as_str().into(),
                routing_key,
                options,
                &body,
                properties,
            );
            confirmations.push(sent.await.map_err(unsent)?);
        }
        let (mut outcomes, mut is_whole) = (Vec::with_capacity(events.len()), true);
        for (event, confirmation) in events.iter().zip(confirmations) {
            let outcome = match confirmation.await.map_err(unsent)? {
                Confirmation::Ack(None) => Ok(()),
                Confirmation::Ack(Some(_)) if !self.topology.is_wanted(event) => Ok(()),
                Confirmation::Ack(Some(_)) => {
                    Err("the broker has no queue for it, though a consumer wants it")
                }
                Confirmation::Nack(_) => Err("the broker could not keep it"),
                Confirmation::NotRequested => Err("the broker does not confirm"),
            };
            // Queues that somebody deleted are declared again before the next try.
            is_whole &= outcome.is_ok();
            outcomes.push(outcome.map_err(Error::unavailable));
        }
        if is_whole {
            *self.publisher.lock().unwrap_or_else(PoisonError::into_inner) = Some(publisher);
        }
        Ok(outcomes)
    }
}

/// Why a batch did not arrive: the broker is away, unless it closed the channel because of what it was sent.
fn unsent(error: lapin::Error) -> Error {
    match error.kind() {
        ErrorKind::ProtocolError(refusal)
            if *refusal.kind() == AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) =>
        {
            Error::invalid("event.refused", "the broker refuses it").with_source(error)
        }
        _ => Error::unavailable(error),
    }
}

#[async_trait]
impl EventBus for AmqpBus {
    fn name(&self) -> &'static str {
        "rabbitmq"
    }

    async fn publish(&self, events: &[CloudEvent]) -> Vec<Result<()>> {
        let known = self.outgoing.current();
        let sent = timeout(PUBLISH_TIMEOUT, self.send(events)).await;
        let outcomes = sent.unwrap_or_else(|_| {
            // A broker that says nothing may have lost the connection that there was; the next try has another. One that
            // this try has made leads to a broker far away, and the next try goes on with it.
            if let Some(known) = &known {
                self.outgoing.leave(known);
            }
            Err(Error::unavailable("the broker did not confirm in time"))
        });
        outcomes.unwrap_or_else(|error| events.iter().map(|_| Err(error.echo())).collect())
    }
}

#[async_trait]
impl EventSource for AmqpBus {
    fn name(&self) -> &'static str {
        "rabbitmq"
    }

    fn keeps_turns(&self) -> bool {
        true
    }

    async fn open(&self, consumer: &str) -> Result<Box<dyn EventQueue>> {
        let opened = async {
            let connection = self.incoming.connection().await?;
            queue::Queue::open(connection, &self.topology, consumer).await
        };
        match opened.await {
            Ok(queue) => Ok(Box::new(queue)),
            Err(error) => {
                self.incoming.forget();
                Err(error)
            }
        }
    }
}

#[async_trait]
impl Indicator for AmqpBus {
    fn name(&self) -> &str {
        "event-bus"
    }

    fn kind(&self) -> &str {
        "rabbitmq"
    }

    /// Events wait in the outbox while it is away, and nothing else is waited for.
    fn required(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<Details> {
        let connection = self.outgoing.connection().await?;
        let channel = connection.create_channel().await.map_err(Error::unavailable)?;
        channel.close(200, "asked".into()).await.map_err(Error::unavailable)?;
        Ok(Details::new())
    }
}

impl fmt::Debug for AmqpBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpBus").field("topology", &self.topology).finish_non_exhaustive()
    }
}
