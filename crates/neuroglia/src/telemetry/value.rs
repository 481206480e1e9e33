//! A field's value on its way from `tracing` to an encoder.

use std::{error::Error, fmt};

use tracing::field::{Field, Visit};

use super::escape::{Escape, push_format, push_text};

/// The kinds of value `tracing` tells apart.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Bool(bool),
    I64(i64),
    U64(u64),
    I128(i128),
    U128(u128),
    F64(f64),
    Text(&'a str),
    Debug(&'a dyn fmt::Debug),
    Error(&'a (dyn Error + 'static)),
}

/// Appends an integer in decimal.
pub(super) fn push_integer(line: &mut Vec<u8>, integer: impl itoa::Integer) {
    line.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
}

/// Appends a finite number in the shortest form that reads back as the same number.
pub(super) fn push_float(line: &mut Vec<u8>, float: f64) {
    line.extend_from_slice(zmij::Buffer::new().format_finite(float).as_bytes());
}

/// Appends an error and what caused it, outermost first: `cannot save: connection refused`.
pub(super) fn push_error(line: &mut Vec<u8>, error: &(dyn Error + 'static), escape: Escape) {
    // A source that names itself as its own source would otherwise never end.
    const SOURCES_MAX: usize = 16;
    push_format(line, format_args!("{error}"), escape);
    for source in std::iter::successors(error.source(), |&error| error.source()).take(SOURCES_MAX) {
        push_text(line, ": ", escape);
        push_format(line, format_args!("{source}"), escape);
    }
}

/// Receives each field of an event or a span with its value.
pub(super) trait Fields {
    /// Takes one field.
    fn field(&mut self, name: &'static str, value: Value<'_>);
}

/// Makes a `tracing` visitor of anything that takes fields.
pub(super) struct Visitor<F>(pub(super) F);

impl<F: Fields> Visit for Visitor<F> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.field(field.name(), Value::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.field(field.name(), Value::I64(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.field(field.name(), Value::U64(value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.0.field(field.name(), Value::I128(value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.0.field(field.name(), Value::U128(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.field(field.name(), Value::F64(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.field(field.name(), Value::Text(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.0.field(field.name(), Value::Error(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.field(field.name(), Value::Debug(value));
    }
}
