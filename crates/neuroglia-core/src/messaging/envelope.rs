//! An event on its way between processes, as CloudEvents 1.0 has it.
//!
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>; the JSON form is the structured mode of
//! the JSON event format.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::data::OutboxMessage;
use crate::error::{Error, Result};

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

    /// The `type` of an event: `io.marios-pizzeria.order.created.v1`.
    pub fn event_type(&self, name: &str, version: u32) -> String {
        format!("{}.{name}.v{version}", self.prefix)
    }

    /// The name and version in a type of this origin; none for a type of another.
    pub fn parse_type<'a>(&self, event_type: &'a str) -> Option<(&'a str, u32)> {
        let rest = event_type.strip_prefix(&self.prefix)?.strip_prefix('.')?;
        let (name, version) = rest.rsplit_once(".v")?;
        Some((name, version.parse().ok()?))
    }
}

/// An event in its envelope.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub time: Option<Timestamp>,
    /// The media type of the data: `application/json`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub datacontenttype: Option<String>,
    /// The request or message that began it; an extension.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub correlationid: Option<String>,
    /// The W3C trace context; the distributed tracing extension.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub traceparent: Option<String>,
    /// Events with the same key keep their order; the partitioning extension.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub partitionkey: Option<String>,
    /// What is to be known of it.
    pub data: Box<RawValue>,
}

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

    /// The data as a tree.
    ///
    /// # Errors
    /// Never for an event that was read from JSON.
    pub fn data(&self) -> Result<Value> {
        serde_json::from_str(self.data.get()).map_err(Error::internal)
    }
}

/// The trace of an event that no traced request raised: it begins with the event.
fn root_traceparent(id: Uuid) -> String {
    let (_, span) = id.as_u64_pair();
    format!("00-{}-{span:016x}-00", id.simple())
}

/// An event, ready to be stored as deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// The event's id, with its source when that is another application.
    pub key: String,
    /// Its name without version, such as `order.created`.
    pub name: String,
    /// What its order depends on.
    pub subject: String,
    /// The whole envelope, as JSON text.
    pub envelope: String,
    /// The request or message that began it.
    pub correlation_id: Option<String>,
    /// The W3C `traceparent`.
    pub traceparent: Option<String>,
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
