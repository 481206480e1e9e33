//! Consumers: who wants which events, and what they do with them.

use std::any::type_name;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;

use super::doer::{Doer, Doing};
use super::item::OnCrash;
use super::retry::ATTEMPTS_DEFAULT;
use crate::di::{Scope, ServiceCollection};
use crate::domain::DomainEvent;
use crate::error::{Error, ErrorKind, Result};
use crate::mediation::EventHandler;
use crate::messaging::{CloudEvent, Origin, Subscription};

/// How long a delivery is kept after it was handled: as long as that a second one of the same event is recognised.
/// Seven days, longer than brokers and operators are known to redeliver.
const KEEP: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How long a handler may take when its consumer does not say otherwise; Wolverine has the same minute.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The code of an event that this release does not know; its delivery is parked.
pub(super) const UNKNOWN: &str = "event.unknown";

/// A named receiver of events, with one handler for each.
///
/// Each consumer gets every event that it wants once, whatever becomes of it at others; what its handlers save is
/// committed together with the end of the delivery. By default it gets the events of one subject one after another.
/// Its name is stable: a new name is a new consumer.
///
/// ```
/// # extern crate neuroglia_core as neuroglia;
/// # use neuroglia::di::Inject;
/// # use neuroglia::domain::DomainEvent;
/// # use neuroglia::error::Result;
/// # use neuroglia::mediation::EventHandler;
/// # use serde::{Deserialize, Serialize};
/// use neuroglia::work::{Consumer, Worker};
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderReady { number: u32 }
/// impl DomainEvent for OrderReady { const NAME: &'static str = "order.ready"; }
///
/// #[derive(Inject)]
/// struct RingBell {}
/// impl EventHandler<OrderReady> for RingBell {
///     async fn handle(&self, event: &OrderReady) -> Result<()> {
///         tracing::info!(order.number = event.number, "ding");
///         Ok(())
///     }
/// }
///
/// fn worker(worker: Worker) -> Worker {
///     worker.consumer(Consumer::new("bell").on::<OrderReady, RingBell>())
/// }
/// # let _ = worker;
/// ```
#[must_use = "a consumer does nothing until it is listed with `Worker::consumer`"]
pub struct Consumer {
    pub(super) name: &'static str,
    pub(super) queue: &'static str,
    pub(super) timeout: Duration,
    pub(super) attempts_max: u32,
    pub(super) is_ordered: bool,
    pub(super) receptions: BTreeMap<&'static str, Box<dyn Reception>>,
    pub(super) declared: ServiceCollection,
    pub(super) handlers: Vec<(&'static str, &'static str)>,
    pub(super) twice: Vec<&'static str>,
}

impl Consumer {
    /// A consumer that wants nothing yet.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            queue: "default",
            timeout: TIMEOUT,
            attempts_max: ATTEMPTS_DEFAULT,
            is_ordered: true,
            receptions: BTreeMap::new(),
            declared: ServiceCollection::new(),
            handlers: Vec::new(),
            twice: Vec::new(),
        }
    }

    /// Wants an event, and has it handled.
    pub fn on<E: DomainEvent + DeserializeOwned, H: EventHandler<E>>(mut self) -> Self {
        let reception: Box<dyn Reception> = Box::new(On::<E, H>(PhantomData));
        if self.receptions.insert(E::NAME, reception).is_some() {
            self.twice.push(E::NAME);
        }
        self.declared.enter::<H>();
        self.handlers.push((E::NAME, type_name::<H>()));
        self
    }

    /// Has its deliveries wait in this queue instead of `default`. What is stored stays where it was put: a release that
    /// has them wait elsewhere names the former queue by [`Worker::queue`](super::Worker::queue), or nobody handles what is
    /// left there, and what follows it.
    pub fn queue(self, queue: &'static str) -> Self {
        Self { queue, ..self }
    }

    /// How long a handler may take; a minute when not set. Then it is broken off where it awaits, so blocking work goes to
    /// `tokio::task::spawn_blocking`, with [`Run::cancelled`](super::Run::cancelled).
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// How often a delivery is tried in all; 10 when not set.
    pub fn attempts_max(self, attempts_max: u32) -> Self {
        Self { attempts_max: attempts_max.max(1), ..self }
    }

    /// Does not care for the order of events.
    pub fn unordered(self) -> Self {
        Self { is_ordered: false, ..self }
    }

    pub(super) fn subscriptions(&self) -> impl Iterator<Item = Subscription> + '_ {
        self.receptions.keys().map(|event| Subscription {
            consumer: self.name.to_owned(),
            event: (*event).to_owned(),
            queue: self.queue.to_owned(),
            is_ordered: self.is_ordered,
            attempts_max: self.attempts_max,
        })
    }

    pub(super) fn into_doer(self) -> Doer {
        Doer {
            queue: self.queue,
            timeout: self.timeout,
            keep: KEEP,
            on_crash: OnCrash::Retry,
            doing: Box::new(Receiving { receptions: self.receptions }),
        }
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("name", &self.name).field("handlers", &self.handlers).finish()
    }
}

/// Handles the event in a delivery's envelope.
struct Receiving {
    receptions: BTreeMap<&'static str, Box<dyn Reception>>,
}

impl Doing for Receiving {
    fn run<'a>(&'a self, scope: &'a Scope, payload: &'a str) -> BoxFuture<'a, Result<Option<String>>> {
        async move {
            let event: CloudEvent = serde_json::from_str(payload)
                .map_err(|cause| unknown("the delivery holds no event").with_source(cause))?;
            let origin = scope.get::<Origin>()?;
            let (reception, version) = origin
                .parse_type(&event.event_type)
                .and_then(|(name, version)| Some((self.receptions.get(name)?, version)))
                .ok_or_else(|| unknown(format!("this release does not know `{}`", event.event_type)))?;
            reception.receive(scope, event, version).await?;
            Ok(None)
        }
        .boxed()
    }
}

fn unknown(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Invalid, UNKNOWN, detail)
}

/// What one consumer does with one event.
pub(super) trait Reception: Send + Sync {
    fn receive<'a>(&'a self, scope: &'a Scope, event: CloudEvent, version: u32) -> BoxFuture<'a, Result<()>>;
}

struct On<E, H>(PhantomData<fn() -> (E, H)>);

impl<E: DomainEvent + DeserializeOwned, H: EventHandler<E>> Reception for On<E, H> {
    fn receive<'a>(&'a self, scope: &'a Scope, event: CloudEvent, version: u32) -> BoxFuture<'a, Result<()>> {
        async move {
            let decoded: serde_json::Result<E> = if version == E::VERSION {
                serde_json::from_str(event.data.get())
            } else {
                let data = E::upcast(version, event.data()?).ok_or_else(|| {
                    unknown(format!("this release does not know version {version} of `{}`", E::NAME))
                })?;
                serde_json::from_value(data)
            };
            let event = decoded.map_err(|cause| {
                unknown(format!("the data of `{}` is not what this release expects", E::NAME))
                    .with_source(cause)
            })?;
            H::inject(scope)?.handle(&event).await
        }
        .boxed()
    }
}
