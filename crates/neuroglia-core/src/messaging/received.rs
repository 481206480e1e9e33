//! An event in the JSON format, as somebody else wrote it.
//!
//! The format has two members for the data: `data`, and `data_base64` for what is bytes to its sender
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>, section 3.1). A sender whose
//! library knows nothing but bytes sends JSON by the second one; here both are the same event.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::CloudEvent;
use crate::clock::Timestamp;

/// The members that are understood.
#[derive(Deserialize)]
pub(super) struct Received {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    event_type: String,
    subject: Option<String>,
    time: Option<Timestamp>,
    datacontenttype: Option<String>,
    correlationid: Option<String>,
    traceparent: Option<String>,
    partitionkey: Option<String>,
    data: Option<Box<RawValue>>,
    data_base64: Option<String>,
}

impl TryFrom<Received> for CloudEvent {
    type Error = &'static str;

    fn try_from(received: Received) -> Result<Self, Self::Error> {
        let data = match (received.data, received.data_base64) {
            (Some(_), Some(_)) => return Err("it has both `data` and `data_base64`"),
            (None, Some(text)) => decoded(&text, received.datacontenttype.as_deref())?,
            (Some(data), None) => data,
            (None, None) => RawValue::NULL.to_owned(),
        };
        Ok(Self {
            specversion: received.specversion,
            id: received.id,
            source: received.source,
            event_type: received.event_type,
            subject: received.subject,
            time: received.time,
            datacontenttype: received.datacontenttype,
            correlationid: received.correlationid,
            traceparent: received.traceparent,
            partitionkey: received.partitionkey,
            data,
        })
    }
}

/// The JSON that was sent as bytes.
fn decoded(text: &str, content_type: Option<&str>) -> Result<Box<RawValue>, &'static str> {
    if !content_type.is_none_or(is_json) {
        return Err("its `data_base64` is not JSON by its `datacontenttype`");
    }
    let bytes = STANDARD.decode(text).map_err(|_| "its `data_base64` is not base64")?;
    let json = String::from_utf8(bytes).ok().and_then(|json| RawValue::from_string(json).ok());
    json.ok_or("its `data_base64` is not JSON once it is decoded")
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(essence.as_str(), "application/json" | "text/json") || essence.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn data(members: &Value) -> Result<String, String> {
        let mut event =
            json!({"specversion": "1.0", "id": "7", "source": "/shop", "type": "io.shop.paid.v1"});
        event.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
        let read = CloudEvent::read(&event.to_string());
        read.map(|event| event.data.get().to_owned()).map_err(|error| error.detail().to_owned())
    }

    #[test]
    fn data_is_the_same_in_either_member() {
        let encoded = STANDARD.encode(r#"{"total": 12.50}"#);
        for content_type in
            ["application/json", "Application/JSON; charset=utf-8", "application/vnd.shop+json"]
        {
            let members = json!({"data_base64": encoded, "datacontenttype": content_type});
            assert_eq!(data(&members).as_deref(), Ok(r#"{"total": 12.50}"#), "{content_type}");
        }
        assert_eq!(data(&json!({"data_base64": encoded})).as_deref(), Ok(r#"{"total": 12.50}"#));
        assert_eq!(data(&json!({"data": {"total": 12}})).as_deref(), Ok(r#"{"total":12}"#));
        assert_eq!(data(&json!({})).as_deref(), Ok("null"));
    }

    #[test]
    fn bytes_that_are_no_json_are_refused() {
        let table = [
            (json!({"data": 1, "data_base64": "MQ=="}), "both"),
            (json!({"data_base64": "MQ==", "datacontenttype": "text/plain"}), "`datacontenttype`"),
            (json!({"data_base64": "no base64"}), "not base64"),
            (json!({"data_base64": STANDARD.encode("Dear Mario")}), "once it is decoded"),
            (json!({"data_base64": STANDARD.encode([0xff, 0xfe])}), "once it is decoded"),
            (json!({"data_base64": ""}), "once it is decoded"),
        ];
        for (members, expected) in table {
            let refusal = data(&members).expect_err("it is refused");
            assert!(refusal.contains(expected), "{members}: {refusal}");
        }
    }
}
