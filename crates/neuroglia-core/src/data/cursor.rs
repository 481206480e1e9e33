//! Keyset paging: a cursor holds the sort keys of the last item, so that inserts and deletes before it neither
//! repeat nor skip items, and a deep page costs as much as the first.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::query::{Condition, Direction, Op, Path, Sort, Value};
use super::store::Document;
use crate::error::{Error, ErrorKind, Result};

/// Where a page ended: opaque text for clients, valid for the query that gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor {
    /// Of the collection and the order that it belongs to.
    digest: u32,
    /// One for each sort key.
    keys: Vec<Value>,
}

impl Eq for Cursor {}

impl Cursor {
    pub(super) fn after(collection: &str, sort: &[Sort], document: &Document) -> Result<Self> {
        let body: serde_json::Value = serde_json::from_str(&document.body).map_err(Error::internal)?;
        let keys = sort
            .iter()
            .map(|sort| match sort.path {
                Path::Id => Value::Text(document.id.clone()),
                Path::Body(path) => value_at(&body, path),
            })
            .collect();
        Ok(Self { digest: digest(collection, sort), keys })
    }

    /// What holds for the items after the cursor.
    pub(super) fn condition(&self, collection: &str, sort: &[Sort]) -> Result<Condition> {
        if self.digest != digest(collection, sort) || self.keys.len() != sort.len() {
            return Err(invalid());
        }
        // (a, b, c) > (x, y, z)  is  a > x  or  a = x and b > y  or  a = x and b = y and c > z
        let mut any = Vec::with_capacity(sort.len());
        let mut equal: Vec<Condition> = Vec::new();
        for (sort, key) in sort.iter().zip(&self.keys) {
            let mut all = equal.clone();
            all.push(beyond(*sort, key));
            any.push(Condition::All(all));
            equal.push(same(sort.path, key));
        }
        Ok(Condition::Any(any))
    }
}

fn same(path: Path, key: &Value) -> Condition {
    match key {
        Value::Null => Condition::IsNull(path),
        value => Condition::Compare { path, op: Op::Equal, value: value.clone() },
    }
}

fn beyond(Sort { path, direction }: Sort, key: &Value) -> Condition {
    match (direction, key) {
        (Direction::Ascending, Value::Null) => Condition::Not(Box::new(Condition::IsNull(path))),
        (Direction::Ascending, value) => Condition::Compare { path, op: Op::Greater, value: value.clone() },
        (Direction::Descending, Value::Null) => Condition::Any(Vec::new()),
        (Direction::Descending, value) => Condition::Any(vec![
            Condition::Compare { path, op: Op::Less, value: value.clone() },
            Condition::IsNull(path),
        ]),
    }
}

/// The scalar at a dotted path; null when it is not there or not a scalar.
pub(super) fn value_at(body: &serde_json::Value, path: &str) -> Value {
    let found = path.split('.').try_fold(body, |value, part| value.get(part));
    match found {
        Some(serde_json::Value::Bool(value)) => Value::Bool(*value),
        Some(serde_json::Value::Number(value)) => value.as_i64().map_or(Value::Null, Value::Integer),
        Some(serde_json::Value::String(value)) => Value::Text(value.clone()),
        _ => Value::Null,
    }
}

fn digest(collection: &str, sort: &[Sort]) -> u32 {
    let mut hash = Sha256::new();
    hash.update(collection.as_bytes());
    for Sort { path, direction } in sort {
        hash.update(match path {
            Path::Id => b"\0id".as_slice(),
            Path::Body(path) => path.as_bytes(),
        });
        hash.update(match direction {
            Direction::Ascending => b"\0+",
            Direction::Descending => b"\0-",
        });
    }
    let hash = hash.finalize();
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

fn invalid() -> Error {
    Error::new(ErrorKind::Malformed, "cursor.invalid", "the cursor does not belong to this list; begin anew without it")
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string(&(self.digest, &self.keys)).map_err(|_| fmt::Error)?;
        f.write_str(&URL_SAFE_NO_PAD.encode(text))
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
        let (digest, keys) = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
        Ok(Self { digest, keys })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
