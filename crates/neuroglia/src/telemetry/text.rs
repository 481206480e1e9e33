//! One line an event, for the person in front of a terminal.
//!
//! `2026-03-01T12:00:00.000Z  INFO pizzeria: order placed order.id=0197 order.note="no olives"`

use tracing::Level;

use super::{
    escape::{Escape, push_format, push_text},
    layer::{Encode, Head},
    value::{Value, push_error, push_float, push_integer},
};

const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// The encoder for `LOG_FORMAT=text`.
pub(super) struct Text {
    colour: bool,
}

impl Text {
    pub(super) fn new(colour: bool) -> Self {
        Self { colour }
    }

    fn push_styled(&self, line: &mut Vec<u8>, style: &str, content: impl FnOnce(&mut Vec<u8>)) {
        if self.colour {
            line.extend_from_slice(style.as_bytes());
        }
        content(line);
        if self.colour {
            line.extend_from_slice(RESET.as_bytes());
        }
    }
}

impl Encode for Text {
    const MESSAGE_REQUIRED: bool = false;

    fn head(&self, line: &mut Vec<u8>, head: Head<'_>) {
        let (level, style) = match head.level {
            Level::ERROR => ("ERROR", "\x1b[1;31m"),
            Level::WARN => (" WARN", "\x1b[33m"),
            Level::INFO => (" INFO", "\x1b[32m"),
            Level::DEBUG => ("DEBUG", "\x1b[34m"),
            Level::TRACE => ("TRACE", "\x1b[35m"),
        };
        self.push_styled(line, DIM, |line| {
            line.extend_from_slice(&head.timestamp[..23]);
            line.push(b'Z');
        });
        line.push(b' ');
        self.push_styled(line, style, |line| line.extend_from_slice(level.as_bytes()));
        line.push(b' ');
        self.push_styled(line, DIM, |line| {
            push_text(line, head.target, Escape::Bare);
            line.push(b':');
        });
        if let Some(message) = head.message {
            line.push(b' ');
            push_value(line, message, Escape::Bare);
        }
    }

    fn field(&self, line: &mut Vec<u8>, name: &str, value: Value<'_>) {
        line.push(b' ');
        self.push_styled(line, DIM, |line| {
            push_text(line, name, Escape::Bare);
            line.push(b'=');
        });
        let start = line.len();
        push_value(line, value, Escape::Quoted);
        if !reads_as_one_word(&line[start..]) {
            line.insert(start, b'"');
            line.push(b'"');
        }
    }

    fn tail(&self, line: &mut Vec<u8>) {
        line.push(b'\n');
    }

    fn key(&self, name: &'static str) -> &'static str {
        name
    }
}

fn push_value(line: &mut Vec<u8>, value: Value<'_>, escape: Escape) {
    match value {
        Value::Bool(value) => line.extend_from_slice(if value { b"true" } else { b"false" }),
        Value::I64(value) => push_integer(line, value),
        Value::U64(value) => push_integer(line, value),
        Value::I128(value) => push_integer(line, value),
        Value::U128(value) => push_integer(line, value),
        Value::F64(value) if value.is_finite() => push_float(line, value),
        Value::F64(value) => push_format(line, format_args!("{value}"), escape),
        Value::Text(value) => push_text(line, value, escape),
        Value::Debug(value) => push_format(line, format_args!("{value:?}"), escape),
        Value::Error(value) => push_error(line, value, escape),
    }
}

fn reads_as_one_word(value: &[u8]) -> bool {
    !value.is_empty() && !value.iter().any(|byte| matches!(byte, b' ' | b'=' | b'\\'))
}
