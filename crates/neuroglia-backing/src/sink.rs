//! Events to a sink that takes CloudEvents over HTTP.
//!
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>; each request is signed
//! as the Standard Webhooks specification says.
//!
//! A sink keeps no queues for the application's own consumers. They are served by the store, as with `local:`, and the
//! sink gets what they get. A sink that gives events back by the ingestion route does no harm: they are known.
//!
//! An event has arrived when the sink has answered 2xx. `Retry-After` is respected by sending nothing before that. A
//! redirection is not followed: what is signed and secret goes where the setting says, and nowhere else.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use neuroglia::clock::Clock;
use neuroglia::di::{Lifetime, Service, ServiceCollection};
use neuroglia::error::{Error, Result};
use neuroglia::health::{Details, Indicator};
use neuroglia::messaging::{CloudEvent, EventBus, Inbox, LocalBus, register_bus};
use neuroglia::webhook::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, WebhookKey};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method, RequestBuilder, StatusCode, redirect, retry};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use url::Url;

use crate::bus::{BusOptions, Content};
use crate::http::{authority, retry_after};
use crate::tls::client_config;

/// Gives an application this bus.
pub(crate) fn attach(services: &mut ServiceCollection, url: Url, options: BusOptions) {
    services.add(Service::factory::<Sink, (Inbox, Clock), _>(Lifetime::Singleton, move |(inbox, clock)| {
        Sink::new(&url, options.clone(), LocalBus::new(inbox), clock).map(Arc::new)
    }));
    register_bus::<Sink>(services);
}

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long all answers together may take; the relay gives a bus five seconds.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(4);

/// How many requests are under way at once.
const REQUESTS_MAX: usize = 8;

/// How long a sink is left alone at most, whatever it asks for: ten minutes, the longest pause of durable work.
const PAUSE_MAX: Duration = Duration::from_secs(10 * 60);

/// The media type of an event in the JSON format.
const STRUCTURED: &str = "application/cloudevents+json";

/// The media type of several.
const BATCH: &str = "application/cloudevents-batch+json";

/// What a header of an event cannot say as it is: the binding asks for these to be percent-encoded.
const IN_HEADERS: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// A bus that ends at a sink.
pub struct Sink {
    url: Url,
    key: WebhookKey,
    content: Content,
    own: LocalBus,
    clock: Clock,
    client: Client,
    /// Until when the sink wants to be left alone.
    rests: Mutex<Option<Instant>>,
}

/// Whether there can be a sink at such a URL.
///
/// # Errors
/// What is wrong with it, as a fragment for the report of settings.
pub fn check_url(url: &Url) -> Result<(), String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "it has a user or a password; a sink knows its sender by EVENT_BUS_SIGNING_KEY".to_owned()
        );
    }
    authority::take(&mut url.clone()).map(drop)
}

impl Sink {
    /// A sink at this URL; the application's own consumers are served by `own`. With `?cacertfile=/path/authority.pem`
    /// its certificate is verified against that authority and no other.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](neuroglia::error::ErrorKind::Invalid) without a key, for a URL that [`check_url`]
    /// refuses, and for a file of authorities that cannot be used.
    pub fn new(url: &Url, options: BusOptions, own: LocalBus, clock: Clock) -> Result<Self> {
        check_url(url).map_err(|fault| Error::invalid("bus.url", fault))?;
        let mut url = url.clone();
        let authority = authority::take(&mut url).map_err(|fault| Error::invalid("bus.url", fault))?;
        let key = options.signing_key.ok_or_else(|| {
            Error::invalid("bus.signing_key", "a sink needs EVENT_BUS_SIGNING_KEY, which signs what it gets")
        })?;
        let client = Client::builder()
            .tls_backend_preconfigured(client_config(authority.as_deref())?)
            .redirect(redirect::Policy::none())
            // The relay decides what is sent again.
            .retry(retry::never())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .pool_max_idle_per_host(REQUESTS_MAX)
            .no_proxy()
            .build()
            .map_err(|error| Error::internal(error.without_url()))?;
        let rests = Mutex::default();
        Ok(Self { url, key, content: options.content, own, clock, client, rests })
    }

    /// Sends what is in one request, and tells what became of it.
    async fn post(&self, request: RequestBuilder, id: &str, body: Bytes, deadline: Instant) -> Result<()> {
        let rests = *self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        if rests.is_some_and(|until| Instant::now() < until) {
            return Err(Error::unavailable("the sink asked to be left alone for a while"));
        }
        let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
        else {
            return Err(Error::unavailable("the sink did not answer in time"));
        };
        let now = self.clock.now();
        let signed = request
            .timeout(left)
            .header(ID_HEADER, id)
            .header(TIMESTAMP_HEADER, now.unix_seconds())
            .header(SIGNATURE_HEADER, self.key.sign(id, now, &body))
            .body(body);
        let answer = signed.send().await.map_err(|error| Error::unavailable(error.without_url()))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let said = format!("the sink answered {status}");
        let is_transient = status.is_server_error()
            || matches!(
                status,
                StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
            );
        if !is_transient {
            return Err(Error::invalid("event.refused", said));
        }
        if let Some(pause) = retry_after::pause(answer.headers(), self.clock.now()) {
            *self.rests.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(Instant::now() + pause.min(PAUSE_MAX));
        }
        Err(Error::unavailable(said))
    }

    fn request(&self) -> RequestBuilder {
        self.client.request(Method::POST, self.url.clone())
    }

    async fn post_event(&self, event: &CloudEvent, deadline: Instant) -> Result<()> {
        if self.content == Content::Binary {
            let body = Bytes::copy_from_slice(event.data.get().as_bytes());
            return self.post(in_headers(self.request(), event), &event.id, body, deadline).await;
        }
        let body = serde_json::to_vec(event).map_err(Error::internal)?;
        self.post(self.request().header(CONTENT_TYPE, STRUCTURED), &event.id, body.into(), deadline).await
    }

    /// Sends an event that the application's own consumers have.
    async fn post_stored(&self, own: Result<()>, event: &CloudEvent, deadline: Instant) -> Result<()> {
        own?;
        self.post_event(event, deadline).await
    }

    async fn post_batch(&self, events: &[CloudEvent], deadline: Instant) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let body = serde_json::to_vec(events).map_err(Error::internal)?;
        let request = self.request().header(CONTENT_TYPE, BATCH);
        self.post(request, &id_of(events), body.into(), deadline).await
    }
}

/// What a batch is known by: the same events in the same order have the same, and others another.
fn id_of(events: &[CloudEvent]) -> String {
    let mut digest = Sha256::new();
    for event in events {
        // No text has this byte in it.
        digest.update([event.id.as_bytes(), &[0xff]].concat());
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The attributes of an event, as the binary content mode has them.
fn in_headers(request: RequestBuilder, event: &CloudEvent) -> RequestBuilder {
    let time = event.time.map(|time| time.to_string());
    let attributes = [
        ("ce-specversion", Some(event.specversion.as_str())),
        ("ce-id", Some(event.id.as_str())),
        ("ce-source", Some(event.source.as_str())),
        ("ce-type", Some(event.event_type.as_str())),
        ("ce-subject", event.subject.as_deref()),
        ("ce-time", time.as_deref()),
        ("ce-correlationid", event.correlationid.as_deref()),
        ("ce-traceparent", event.traceparent.as_deref()),
        ("ce-partitionkey", event.partitionkey.as_deref()),
    ];
    let request =
        request.header(CONTENT_TYPE, event.datacontenttype.as_deref().unwrap_or("application/json"));
    attributes.into_iter().fold(request, |request, (name, value)| match value {
        Some(value) => request.header(name, utf8_percent_encode(value, IN_HEADERS).to_string()),
        None => request,
    })
}

#[async_trait]
impl EventBus for Sink {
    fn name(&self) -> &'static str {
        "http"
    }

    async fn publish(&self, events: &[CloudEvent]) -> Vec<Result<()>> {
        let mut outcomes = self.own.publish(events).await;
        let deadline = Instant::now() + TOTAL_TIMEOUT;
        if self.content == Content::Batch {
            if outcomes.iter().all(Result::is_ok)
                && let Err(error) = self.post_batch(events, deadline).await
            {
                outcomes = events.iter().map(|_| Err(error.echo())).collect();
            }
            return outcomes;
        }
        let mut posted = Vec::with_capacity(events.len());
        for some in events.chunks(REQUESTS_MAX) {
            let own = outcomes.drain(..some.len());
            posted.extend(
                join_all(own.zip(some).map(|(own, event)| self.post_stored(own, event, deadline))).await,
            );
        }
        posted
    }
}

#[async_trait]
impl Indicator for Sink {
    fn name(&self) -> &str {
        "event-bus"
    }

    fn kind(&self) -> &str {
        "http"
    }

    /// Events wait in the outbox while it is away, and nothing else is waited for.
    fn required(&self) -> bool {
        false
    }

    /// That it answers at all is what can be asked without sending it an event.
    async fn check(&self) -> Result<Details> {
        let asked = self.client.request(Method::OPTIONS, self.url.clone()).send();
        match asked.await {
            Ok(_) => Ok(Details::new()),
            Err(error) => Err(Error::unavailable(error.without_url())),
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("content", &self.content).finish_non_exhaustive()
    }
}
