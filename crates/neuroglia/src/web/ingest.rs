//! `POST /events/ingest`: events of other programs, over HTTP.
//!
//! All three content modes of the CloudEvents HTTP binding are understood: structured, binary and batch
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>). A request is signed as
//! the Standard Webhooks specification says, and nothing of one is looked at before its signature is. What is answered
//! with 202 is stored, once for each consumer that wants it, however often it is sent. Whoever may not send learns no more
//! than that; without a key nobody may, and the route is not there.
//!
//! An event of a type of another application is answered with 202 as well, and passed over: nobody here wants it.
//!
//! In the binary mode the attributes are headers, which the signature does not cover. Whoever has seen a signed request can
//! send its data again under other attributes, for the five minutes that a signature is good for. Senders whose requests
//! pass through the hands of others send the structured mode.

use std::fmt;
use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use neuroglia_core::clock::Clock;
use neuroglia_core::di::Inject;
use neuroglia_core::error::{Error, Violation};
use neuroglia_core::messaging::{CloudEvent, Inbox};
use neuroglia_core::settings::{Secret, Settings};
use neuroglia_core::webhook::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, WebhookKey};
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::controller;
use super::extract::{self, ContentLimits};
use super::openapi::{Describe, Operation};
use super::problem::Problem;
use super::reply::{Accepted, NoContent};

/// The media type of an event in the JSON format.
const STRUCTURED: &str = "application/cloudevents+json";

/// The media type of several.
const BATCH: &str = "application/cloudevents-batch+json";

/// What the headers of attributes begin with in the binary mode.
const ATTRIBUTE: &str = "ce-";

/// Who may send events over HTTP.
///
/// As the section `event_ingest` of an application's settings its variables are `EVENT_INGEST_KEY` and so on.
#[derive(Clone, Settings)]
pub struct IngestSettings {
    /// The key that signs events which come over HTTP: `whsec_` and base64; not set, none are taken.
    pub key: Option<Secret<WebhookKey>>,
    /// The key that signed them before, for as long as its holders have not replaced it.
    pub previous_key: Option<Secret<WebhookKey>>,
}

/// The keys of those who may send events over HTTP; a service of the application.
#[derive(Clone, Default)]
pub struct IngestKeys(Vec<WebhookKey>);

impl IngestKeys {
    /// The keys that the settings name.
    pub fn of(settings: &IngestSettings) -> Self {
        let keys = settings.key.iter().chain(&settings.previous_key);
        Self(keys.map(|key| key.expose().clone()).collect())
    }
}

impl fmt::Debug for IngestKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IngestKeys({})", self.0.len())
    }
}

/// Takes in events of other programs; an application lists it among its controllers.
#[derive(Debug, Inject)]
pub struct EventIngestion {
    inbox: Inbox,
    keys: Arc<IngestKeys>,
    clock: Clock,
}

#[controller("/events")]
impl EventIngestion {
    /// Take in events of other programs.
    ///
    /// CloudEvents 1.0, structured, binary or in a batch; signed as the Standard Webhooks specification says. 202 means
    /// that they are stored; an event that is sent again is known by its source and id.
    #[post("/ingest", public)]
    async fn ingest(&self, signed: SignedEvents) -> Result<Accepted<NoContent>, Problem> {
        let IngestKeys(keys) = &*self.keys;
        if keys.is_empty() {
            let detail = "no events are taken in here: EVENT_INGEST_KEY is not set";
            return Err(Problem::new(StatusCode::NOT_FOUND, "ingest.off", detail));
        }
        signed.verify(keys, &self.clock)?;
        let texts = signed.texts()?;
        let mut parcels = Vec::with_capacity(texts.len());
        for (place, text) in texts.into_iter().enumerate() {
            // What nobody here wants need not be what somebody here can read, such as a picture.
            if self.inbox.is_foreign(&text) {
                tracing::info!("an event of another application was passed over");
                continue;
            }
            let event = CloudEvent::read(&text).map_err(|error| malformed(&error, place))?;
            parcels.push(self.inbox.parcel(&event, text)?);
        }
        self.inbox.put(&parcels).await?;
        Ok(Accepted(NoContent))
    }
}

/// What is wrong with one event, and with which.
fn malformed(error: &Error, place: usize) -> Problem {
    let problem = Problem::new(StatusCode::BAD_REQUEST, "event.malformed", error.detail().to_owned());
    problem.with_errors(vec![Violation {
        pointer: format!("/{place}"),
        code: "event.malformed".into(),
        detail: error.detail().to_owned().into(),
    }])
}

/// A request with events, as it was sent.
#[derive(Debug)]
struct SignedEvents {
    headers: HeaderMap,
    body: Bytes,
    limits: ContentLimits,
}

impl<S: Send + Sync> FromRequest<S> for SignedEvents {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let limits = ContentLimits::of(&parts.extensions);
        let body = extract::read(&parts.extensions, body).await?;
        Ok(Self { headers: parts.headers, body, limits })
    }
}

impl SignedEvents {
    /// Whether one of the keys signed it, not long ago.
    fn verify(&self, keys: &[WebhookKey], clock: &Clock) -> Result<(), Problem> {
        let text =
            |name: &str| self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (id, timestamp, signatures) = (text(ID_HEADER), text(TIMESTAMP_HEADER), text(SIGNATURE_HEADER));
        let now = clock.now();
        let mut refusal = None;
        for key in keys {
            match key.verify(id, timestamp, signatures, &self.body, now) {
                Ok(()) => return Ok(()),
                Err(error) => refusal = Some(error),
            }
        }
        Err(refusal.unwrap_or_else(Error::unauthenticated).into())
    }

    /// Each event in the JSON format, whatever mode it came in.
    fn texts(&self) -> Result<Vec<String>, Problem> {
        let body = extract::decoded(&self.headers, self.body.clone(), self.limits)?;
        let body = std::str::from_utf8(&body).map_err(|_| wrong("the body is not UTF-8"))?;
        let content_type = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case(STRUCTURED) {
            return Ok(vec![body.to_owned()]);
        }
        if essence.eq_ignore_ascii_case(BATCH) {
            let events: Vec<&RawValue> =
                serde_json::from_str(body).map_err(|_| wrong("the batch is no JSON array"))?;
            return Ok(events.into_iter().map(|event| event.get().to_owned()).collect());
        }
        let is_binary = self.headers.keys().any(|name| name.as_str().starts_with(ATTRIBUTE));
        if is_binary && (essence.is_empty() || extract::is_json(essence)) {
            return Ok(vec![self.of_headers(essence, body)?]);
        }
        let problem = Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "media_type.unsupported",
            "send application/cloudevents+json, application/cloudevents-batch+json, or JSON with the attributes as ce- headers",
        );
        Err(problem.with_header(header::ACCEPT, HeaderValue::from_static(STRUCTURED)))
    }

    /// The event whose attributes are headers, in the JSON format.
    fn of_headers(&self, content_type: &str, body: &str) -> Result<String, Problem> {
        let mut event = Map::new();
        for (name, value) in &self.headers {
            let Some(name) = name.as_str().strip_prefix(ATTRIBUTE) else { continue };
            // The data is the body, which is signed.
            if matches!(name, "data" | "data_base64") {
                return Err(wrong(format!("the header ce-{name} is no attribute")));
            }
            let value = value.to_str().ok().and_then(|value| percent_decode_str(value).decode_utf8().ok());
            let Some(value) = value else { return Err(wrong(format!("the header ce-{name} is not UTF-8"))) };
            if event.insert(name.to_owned(), Value::String(value.into_owned())).is_some() {
                return Err(wrong(format!("the header ce-{name} is there twice")));
            }
        }
        if !content_type.is_empty() {
            event.insert("datacontenttype".to_owned(), Value::String(content_type.to_owned()));
        }
        let mut text = Value::Object(event).to_string();
        if !body.trim().is_empty() {
            let data: &RawValue =
                serde_json::from_str(body).map_err(|_| wrong("the data is not well-formed JSON"))?;
            text.pop();
            text.push_str(",\"data\":");
            text.push_str(data.get());
            text.push('}');
        }
        Ok(text)
    }
}

fn wrong(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "event.malformed", detail.into())
}

impl Describe for SignedEvents {
    fn describe_parameter(operation: &mut Operation<'_>) {
        operation.header_parameter::<String>(ID_HEADER, true, "what the message is known by; it is signed");
        operation.header_parameter::<String>(
            TIMESTAMP_HEADER,
            true,
            "when it was signed, in seconds since 1970",
        );
        operation.header_parameter::<String>(SIGNATURE_HEADER, true, "its signatures, such as `v1,…`");
        operation.body::<Map<String, Value>>(STRUCTURED);
        operation.body::<Vec<Map<String, Value>>>(BATCH);
        operation.body::<Value>("application/json");
    }
}
