//! What serde says about content of the wrong shape, in the words of a client.
//!
//! serde's messages quote the value, which may be a password in the wrong field, and name Rust types. Of both,
//! clients get neither: a message is taken apart into a stable code and what was expected.

use std::borrow::Cow;
use std::fmt::Write;

use neuroglia_core::error::Violation;
use serde_path_to_error::{Path, Segment};

/// What a type's own message may be long.
const DETAIL_CHARS_MAX: usize = 200;

/// The violation at this place of which serde says `message`.
pub(super) fn violation(path: &Path, message: &str) -> Violation {
    violation_at(pointer(path), message)
}

/// The violation at this JSON Pointer of which serde says `message`.
pub(super) fn violation_at(mut pointer: String, message: &str) -> Violation {
    let message = message.rfind(" at line ").map_or(message, |end| &message[..end]);
    let (code, detail): (&str, Cow<'static, str>) = if let Some(field) = quoted(message, "missing field ") {
        push_token(&mut pointer, field);
        ("required", "is required".into())
    } else if let Some(field) = quoted(message, "duplicate field ") {
        // The path leads to the object or to the field, depending on who noticed.
        if !ends_with_token(&pointer, field) {
            push_token(&mut pointer, field);
        }
        ("duplicate", "is there more than once".into())
    } else if message.starts_with("unknown field ") {
        ("unknown", "is not known here".into())
    } else if message.starts_with("unknown variant ") {
        ("variant", expected(message))
    } else if message.starts_with("invalid type: ") {
        ("type", expected(message))
    } else if message.starts_with("invalid value: ") {
        ("value", expected(message))
    } else if message.starts_with("invalid length ") {
        ("length", expected(message))
    } else if message.starts_with("data did not match any variant") || message.is_empty() {
        ("invalid", "is not valid".into())
    } else {
        // The words of the type's author.
        ("invalid", message.chars().take(DETAIL_CHARS_MAX).collect::<String>().into())
    };
    Violation { pointer, code: code.into(), detail }
}

/// What follows the last "expected", without the names of Rust.
fn expected(message: &str) -> Cow<'static, str> {
    let Some((_, expected)) = message.rsplit_once(", expected ") else { return "is not valid".into() };
    let plain = match expected {
        "a boolean" => "must be true or false",
        "u8" => "must be an integer from 0 to 255",
        "u16" => "must be an integer from 0 to 65535",
        "u32" => "must be an integer from 0 to 4294967295",
        "u64" | "u128" | "usize" => "must be an integer of at least 0",
        "i8" => "must be an integer from -128 to 127",
        "i16" => "must be an integer from -32768 to 32767",
        "i32" => "must be an integer from -2147483648 to 2147483647",
        "i64" | "i128" | "isize" => "must be an integer",
        "f32" | "f64" => "must be a number",
        "a string" | "a borrowed string" | "string" | "variant identifier" => "must be a text",
        "a character" => "must be a text of one character",
        "a sequence" => "must be an array",
        "a map" => "must be an object",
        "unit" => "must be null",
        named if is_rust_shape(named, &["enum ", "string or map"]) => "must be one of the known values",
        named if is_rust_shape(named, &["tuple ", "newtype ", "unit struct "]) => "is not valid",
        named if named.contains("struct ") || named.contains("tagged enum") => "must be an object",
        other => {
            let other: String = other.chars().take(DETAIL_CHARS_MAX).collect();
            return format!("must be {other}").into();
        }
    };
    plain.into()
}

fn is_rust_shape(expected: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| expected.starts_with(beginning))
}

/// The name in backquotes after `lead`.
fn quoted<'a>(message: &'a str, lead: &str) -> Option<&'a str> {
    message.strip_prefix(lead)?.strip_prefix('`')?.strip_suffix('`')
}

/// The path as a JSON Pointer (RFC 6901).
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                // Writing into a `String` cannot fail.
                let _ = write!(pointer, "/{index}");
            }
            Segment::Map { key } => push_token(&mut pointer, key),
            Segment::Enum { variant } => push_token(&mut pointer, variant),
            Segment::Unknown => {}
        }
    }
    pointer
}

fn push_token(pointer: &mut String, name: &str) {
    pointer.push('/');
    pointer.push_str(&escaped(name));
}

fn ends_with_token(pointer: &str, name: &str) -> bool {
    pointer.rsplit_once('/').is_some_and(|(_, last)| last == escaped(name))
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_quotes_the_value_or_names_a_rust_type() {
        let table = [
            (
                "invalid type: string \"hunter2\", expected u32",
                "type",
                "must be an integer from 0 to 4294967295",
            ),
            (
                "invalid type: string \", expected hunter2\", expected a boolean",
                "type",
                "must be true or false",
            ),
            ("invalid type: integer `1`, expected struct PlaceOrder", "type", "must be an object"),
            (
                "invalid type: integer `1`, expected internally tagged enum Payment",
                "type",
                "must be an object",
            ),
            ("invalid type: sequence, expected enum Size", "type", "must be one of the known values"),
            ("unknown variant `x`, expected one of `a`, `b`", "variant", "must be one of `a`, `b`"),
            ("invalid length 3, expected an array of length 2", "length", "must be an array of length 2"),
            ("data did not match any variant of untagged enum Secret", "invalid", "is not valid"),
            ("an amount has two decimals at line 1 column 7", "invalid", "an amount has two decimals"),
        ];
        for (message, code, detail) in table {
            let violation = violation_at(String::new(), message);
            assert_eq!((&*violation.code, &*violation.detail), (code, detail), "{message}");
        }
    }

    #[test]
    fn a_missing_field_is_pointed_at() {
        let violation = violation_at("/lines/0".to_owned(), "missing field `a/b~c` at line 1 column 2");
        assert_eq!((violation.pointer.as_str(), &*violation.code), ("/lines/0/a~1b~0c", "required"));
    }
}
