//! One JSON object a line, for machines.

use super::{
    escape::{Escape, push_format, push_text},
    layer::{Encode, Head},
    value::{Value, push_error, push_float, push_integer},
};

/// The encoder for `LOG_FORMAT=json`.
pub(super) struct Json {
    /// What every line ends with: the service, the release, the brace and the line feed.
    tail: Vec<u8>,
}

impl Json {
    pub(super) fn new(service: Option<&str>, release: Option<&str>) -> Self {
        let mut tail = Vec::new();
        for (name, value) in [("service", service), ("release", release)] {
            if let Some(value) = value {
                push_member(&mut tail, name, Value::Text(value));
            }
        }
        tail.extend_from_slice(b"}\n");
        Self { tail }
    }
}

impl Encode for Json {
    const MESSAGE_REQUIRED: bool = true;

    fn head(&self, line: &mut Vec<u8>, head: Head<'_>) {
        line.extend_from_slice(br#"{"timestamp":""#);
        line.extend_from_slice(head.timestamp);
        line.extend_from_slice(br#"","level":""#);
        line.extend_from_slice(head.level.as_str().as_bytes());
        line.push(b'"');
        if let Some(message) = head.message {
            push_member(line, "message", message);
        }
        push_member(line, "target", Value::Text(head.target));
    }

    fn field(&self, line: &mut Vec<u8>, name: &str, value: Value<'_>) {
        push_member(line, name, value);
    }

    fn tail(&self, line: &mut Vec<u8>) {
        line.extend_from_slice(&self.tail);
    }

    fn key(&self, name: &'static str) -> &'static str {
        match name {
            "timestamp" => "field.timestamp",
            "level" => "field.level",
            "message" => "field.message",
            "target" => "field.target",
            "service" => "field.service",
            "release" => "field.release",
            _ => name,
        }
    }
}

fn push_member(line: &mut Vec<u8>, name: &str, value: Value<'_>) {
    line.extend_from_slice(b",\"");
    push_text(line, name, Escape::Quoted);
    line.extend_from_slice(b"\":");
    match value {
        Value::Bool(value) => line.extend_from_slice(if value { b"true" } else { b"false" }),
        Value::I64(value) => push_integer(line, value),
        Value::U64(value) => push_integer(line, value),
        Value::I128(value) => push_integer(line, value),
        Value::U128(value) => push_integer(line, value),
        Value::F64(value) if value.is_finite() => push_float(line, value),
        Value::F64(_) => line.extend_from_slice(b"null"),
        Value::Text(value) => push_quoted(line, |line| push_text(line, value, Escape::Quoted)),
        Value::Debug(value) => {
            push_quoted(line, |line| push_format(line, format_args!("{value:?}"), Escape::Quoted));
        }
        Value::Error(value) => push_quoted(line, |line| push_error(line, value, Escape::Quoted)),
    }
}

fn push_quoted(line: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    line.push(b'"');
    content(line);
    line.push(b'"');
}
