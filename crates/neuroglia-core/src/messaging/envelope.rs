//! An event on its way between processes, as CloudEvents 1.0 has it.
//!
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>; the JSON form is the structured mode of
//! the JSON event format.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::received::Received;
use crate::clock::Timestamp;
use crate::data::OutboxMessage;
use crate::error::{Error, ErrorKind, Result};
use crate::work::{Due, NewWork, OnCrash, Retry, WorkClass};

/// Where an application's events come from, and what their types begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The `source` of every event, such as `/marios-pizzeria`.
    pub source: String,
    /// What types begin with, such as `io.marios-pizzeria`.
    pub prefix: String,
}

impl Origin {
    /// The origin of the application with this name.
    pub fn of(application: &str) -> Self {
        Self { source: format!("/{application}"), prefix: format!("io.{application}") }
    }

    /// The application's name: what exchanges, queues and streams at a broker begin with.
    pub fn application(&self) -> &str {
        self.source.trim_start_matches('/')
    }

    /// The `type` of an event: `io.marios-pizzeria.order.created.v1`. A name that begins with the prefix gets no second one.
    pub fn event_type(&self, name: &str, version: u32) -> String {
        format!("{}.{}.v{version}", self.prefix, self.without_prefix(name).unwrap_or(name))
    }

    /// The rest of a name that begins with the prefix.
    pub(super) fn without_prefix<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_prefix(&self.prefix)?.strip_prefix('.')
    }

    /// The name and version in a type of this origin; none for a type of another.
    pub fn parse_type<'a>(&self, event_type: &'a str) -> Option<(&'a str, u32)> {
        let (name, version) = self.without_prefix(event_type)?.rsplit_once(".v")?;
        Some((name, version.parse().ok()?))
    }
}

/// An event in its envelope.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Received")]
pub struct CloudEvent {
    /// The version of the specification: `1.0`.
    pub specversion: String,
    /// The event's id; with the source it tells a second delivery.
    pub id: String,
    /// Where it comes from.
    pub source: String,
    /// What happened, with the version of the data.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The aggregate that it happened to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// The media type of the data: `application/json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datacontenttype: Option<String>,
    /// The request or message that began it; an extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlationid: Option<String>,
    /// The W3C trace context; the distributed tracing extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Events with the same key keep their order; the partitioning extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitionkey: Option<String>,
    /// What is to be known of it; `null` when nothing is.
    pub data: Box<RawValue>,
}

/// The most bytes of source and id together, and of what an event's order depends on: they become keys of an index,
/// and PostgreSQL takes no more than a third of a page, 2,704 bytes.
pub(super) const KEY_BYTES_MAX: usize = 1024;

/// Refuses a subject that no envelope can carry.
pub(crate) fn check_subject(event: &str, subject: &str) -> Result<()> {
    let is_key = !subject.is_empty() && subject.len() <= KEY_BYTES_MAX;
    if is_key && !subject.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Error::internal(format!(
        "the subject of an event `{event}` must have 1 to {KEY_BYTES_MAX} bytes, and no control character"
    ))
    .with_retry(Retry::Never))
}

/// The most bytes that an event's data has as JSON: one that a broker does not take would hold up its subject for ever. NATS
/// takes messages of up to 1 MiB unless it is told otherwise (`max_payload`,
/// <https://docs.nats.io/running-a-nats-service/configuration>), RabbitMQ larger ones; 8 KiB of that are left to the
/// envelope.
pub const EVENT_DATA_BYTES_MAX: usize = 1024 * 1024 - 8 * 1024;

impl CloudEvent {
    /// The event of an outbox message.
    ///
    /// # Errors
    /// When the message's data is not JSON.
    pub fn of(message: OutboxMessage, origin: &Origin) -> Result<Self> {
        Ok(Self {
            specversion: "1.0".to_owned(),
            id: message.id.to_string(),
            source: origin.source.clone(),
            event_type: origin.event_type(&message.name, message.version),
            partitionkey: Some(message.subject.clone()),
            subject: Some(message.subject),
            time: Some(message.at),
            datacontenttype: Some("application/json".to_owned()),
            correlationid: Some(message.correlation_id.unwrap_or_else(|| message.id.to_string())),
            traceparent: Some(message.traceparent.unwrap_or_else(|| root_traceparent(message.id))),
            data: RawValue::from_string(message.data).map_err(Error::internal)?,
        })
    }

    /// Reads an event that comes from outside, in the JSON format.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] with the code `event.malformed`: it is no CloudEvent of version 1.0.
    pub fn read(text: &str) -> Result<Self> {
        let event: Self = serde_json::from_str(text).map_err(malformed)?;
        if event.specversion != "1.0" {
            return Err(malformed("its `specversion` is not 1.0"));
        }
        let named = [("id", &event.id), ("source", &event.source), ("type", &event.event_type)];
        for (name, value) in named {
            if value.is_empty() {
                return Err(malformed(format!("its `{name}` is empty")));
            }
        }
        let keys = [("subject", &event.subject), ("partitionkey", &event.partitionkey)];
        let keys = keys.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        for (name, value) in named.into_iter().chain(keys) {
            if value.chars().any(char::is_control) {
                return Err(malformed(format!("its `{name}` has a control character")));
            }
            if value.len() > KEY_BYTES_MAX {
                return Err(malformed(format!("its `{name}` has more than {KEY_BYTES_MAX} bytes")));
            }
        }
        // A URI-reference has none, and what an event is known by relies on it.
        if event.source.contains(char::is_whitespace) {
            return Err(malformed("its `source` has white space"));
        }
        if event.source.len() + event.id.len() > KEY_BYTES_MAX {
            return Err(malformed(format!("its `source` and `id` have more than {KEY_BYTES_MAX} bytes")));
        }
        Ok(event)
    }

    /// The data as a tree.
    ///
    /// # Errors
    /// Never for an event that was read from JSON.
    pub fn data(&self) -> Result<Value> {
        serde_json::from_str(self.data.get()).map_err(Error::internal)
    }
}

fn malformed(why: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Malformed, "event.malformed", format!("it is no CloudEvent: {why}"))
}

/// The trace of an event that no traced request raised: it begins with the event.
fn root_traceparent(id: Uuid) -> String {
    let (_, span) = id.as_u64_pair();
    format!("00-{}-{span:016x}-00", id.simple())
}

/// An event, ready to be stored as deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// The event's id, with its source when that is another application or the id has a space.
    pub key: String,
    /// Its name without version, such as `order.created`.
    pub name: String,
    /// What its order depends on; none when it has no place in any.
    pub subject: Option<String>,
    /// The whole envelope, as JSON text.
    pub envelope: String,
    /// The one consumer that it is for; when there is none, it is for all who want it.
    pub consumer: Option<String>,
    /// The request or message that began it.
    pub correlation_id: Option<String>,
    /// The W3C `traceparent`.
    pub traceparent: Option<String>,
}

impl Parcel {
    /// The delivery to one consumer.
    pub fn delivery(&self, id: Uuid, to: &Subscription) -> NewWork {
        NewWork {
            id,
            class: WorkClass::Delivery,
            queue: to.queue.clone(),
            kind: to.consumer.clone(),
            lane: self.subject.clone().filter(|_| to.is_ordered),
            key: Some(self.key.clone()),
            payload: self.envelope.clone(),
            priority: 0,
            due: Due::Now,
            attempts_max: to.attempts_max,
            on_crash: OnCrash::Retry,
            correlation_id: self.correlation_id.clone(),
            traceparent: self.traceparent.clone(),
        }
    }
}

/// That a consumer wants an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subscription {
    /// The consumer's name.
    pub consumer: String,
    /// The event's name, such as `order.created`.
    pub event: String,
    /// The queue that its deliveries wait in.
    pub queue: String,
    /// Whether it gets the events of one subject one after another.
    pub is_ordered: bool,
    /// How often a delivery is tried.
    pub attempts_max: u32,
}

/// Who wants which events in this release; a service of the application.
#[derive(Debug, Default)]
pub struct Subscriptions(pub Vec<Subscription>);

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> OutboxMessage {
        OutboxMessage {
            id: Uuid::from_u64_pair(0x0199_0000_0000_7000, 0x8000_0000_0000_0001),
            name: "order.created".to_owned(),
            version: 2,
            subject: "o-1".to_owned(),
            data: r#"{"total":12}"#.to_owned(),
            correlation_id: None,
            traceparent: None,
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn an_event_is_a_structured_cloud_event_with_all_extensions() {
        let origin = Origin::of("marios-pizzeria");
        let event = CloudEvent::of(message(), &origin).expect("its data is JSON");
        let text = serde_json::to_string(&event).expect("it is JSON");
        let tree: Value = serde_json::from_str(&text).expect("it is JSON");
        assert_eq!(tree["specversion"], "1.0");
        assert_eq!(tree["type"], "io.marios-pizzeria.order.created.v2");
        assert_eq!(tree["source"], "/marios-pizzeria");
        assert_eq!((&tree["subject"], &tree["partitionkey"]), (&"o-1".into(), &"o-1".into()));
        assert_eq!(tree["time"], "1970-01-01T00:00:00.000000Z");
        assert_eq!(tree["correlationid"], tree["id"]);
        assert_eq!(tree["traceparent"].as_str().map(str::len), Some(55));
        assert_eq!(tree["data"]["total"], 12);
    }

    #[test]
    fn what_comes_from_outside_has_the_attributes_that_the_specification_asks_for() {
        let whole = serde_json::json!({
            "specversion": "1.0", "id": "7", "source": "/shop", "type": "io.shop.paid.v1", "extension": "kept",
        });
        assert_eq!(
            CloudEvent::read(&whole.to_string()).map(|event| event.data.get().to_owned()).ok(),
            Some("null".into())
        );
        let refusal = |name: &str, value: Value| {
            let mut event = whole.clone();
            event[name] = value;
            let error = CloudEvent::read(&event.to_string()).expect_err("it is refused");
            assert_eq!(error.kind(), ErrorKind::Malformed);
            error.detail().to_owned()
        };
        for name in ["id", "source", "type", "specversion"] {
            assert!(refusal(name, Value::Null).contains("it is no CloudEvent"), "{name}");
            assert!(refusal(name, "".into()).contains(name), "{name}");
            assert!(refusal(name, "a\u{0}b".into()).contains(name), "{name}");
        }
        assert!(refusal("specversion", "0.3".into()).contains("specversion"));
        for source in ["/x y", " /x", "/x\u{a0}y"] {
            assert!(refusal("source", source.into()).contains("`source` has white space"), "{source:?}");
        }
        assert!(refusal("subject", "s".repeat(KEY_BYTES_MAX + 1).into()).contains("1024 bytes"));
        assert!(refusal("id", "i".repeat(KEY_BYTES_MAX).into()).contains("`source` and `id`"));
        assert!(CloudEvent::read("{").is_err());
    }

    #[test]
    fn a_type_has_the_prefix_once() {
        let origin = Origin::of("shop");
        assert_eq!(origin.event_type("io.shop.order.created", 1), "io.shop.order.created.v1");
        // That of another application, and what only looks like a prefix, are a part of the name.
        assert_eq!(origin.event_type("io.other.order.created", 1), "io.shop.io.other.order.created.v1");
        assert_eq!(origin.event_type("io.shopping.done", 1), "io.shop.io.shopping.done.v1");
    }

    #[test]
    fn a_type_tells_name_and_version_of_its_own_origin_only() {
        let origin = Origin::of("shop");
        assert_eq!(origin.parse_type(&origin.event_type("order.created", 3)), Some(("order.created", 3)));
        for other in
            ["io.other.order.created.v1", "io.shop.order.created", "io.shopping.x.v1", "io.shop.x.vy"]
        {
            assert_eq!(origin.parse_type(other), None, "{other}");
        }
    }
}
