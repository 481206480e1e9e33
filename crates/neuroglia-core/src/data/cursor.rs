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
                Path::Id => Ok(Value::Text(document.id.clone())),
                Path::Body(path) => scalar_at(&body, path).ok_or_else(|| {
                    Error::internal(format!("{collection} is sorted by {path}, which no cursor can hold"))
                }),
            })
            .collect::<Result<_>>()?;
        Ok(Self { digest: digest(collection, sort), keys })
    }

    /// What holds for the items after the cursor, as one or two parts of the order that follow each other.
    ///
    /// Each part is a range of the first sort key, so that an index leads straight to where the page begins;
    /// unset and set values are never in one part, because no index takes them as one range.
    pub(super) fn parts(&self, collection: &str, sort: &[Sort]) -> Result<Vec<Condition>> {
        if self.digest != digest(collection, sort) || self.keys.len() != sort.len() {
            return Err(invalid());
        }
        let (Some((first, others)), Some((key, keys))) = (sort.split_first(), self.keys.split_first()) else {
            return Err(invalid());
        };
        let Sort { path, direction } = *first;
        let ties = beyond(others, keys);
        let compare = |op| Condition::Compare { path, op, value: key.clone() };
        let from = |at: Op, past: Op| {
            if others.is_empty() {
                return compare(past);
            }
            let tied = Condition::All(vec![compare(Op::Equal), ties.clone()]);
            Condition::All(vec![compare(at), Condition::Any(vec![compare(past), tied])])
        };
        let unset = Condition::IsNull(path);
        Ok(match (direction, key) {
            (Direction::Ascending, Value::Null) => {
                vec![Condition::All(vec![unset.clone(), ties]), Condition::Not(Box::new(unset))]
            }
            (Direction::Ascending, _) => vec![from(Op::GreaterOrEqual, Op::Greater)],
            (Direction::Descending, Value::Null) => vec![Condition::All(vec![unset, ties])],
            (Direction::Descending, _) if path == Path::Id => vec![from(Op::LessOrEqual, Op::Less)],
            (Direction::Descending, _) => vec![from(Op::LessOrEqual, Op::Less), unset],
        })
    }
}

/// What holds for the items whose sort keys come after these.
///
/// (a, b, c) > (x, y, z)  is  a > x  or  a = x and b > y  or  a = x and b = y and c > z
fn beyond(sort: &[Sort], keys: &[Value]) -> Condition {
    let mut any = Vec::with_capacity(sort.len());
    let mut equal: Vec<Condition> = Vec::new();
    for (Sort { path, direction }, key) in sort.iter().copied().zip(keys) {
        let unset = Condition::IsNull(path);
        let compare = |op| Condition::Compare { path, op, value: key.clone() };
        let past = match (direction, key) {
            (Direction::Ascending, Value::Null) => Condition::Not(Box::new(unset.clone())),
            (Direction::Ascending, _) => compare(Op::Greater),
            (Direction::Descending, Value::Null) => Condition::Any(Vec::new()),
            (Direction::Descending, _) if path == Path::Id => compare(Op::Less),
            (Direction::Descending, _) => Condition::Any(vec![compare(Op::Less), unset.clone()]),
        };
        any.push(Condition::All(equal.iter().cloned().chain([past]).collect()));
        equal.push(if *key == Value::Null { unset } else { compare(Op::Equal) });
    }
    Condition::Any(any)
}

/// The scalar at a dotted path, null when nothing is there; `None` for what is no scalar of a query.
fn scalar_at(body: &serde_json::Value, path: &str) -> Option<Value> {
    match path.split('.').try_fold(body, |value, part| value.get(part)) {
        None | Some(serde_json::Value::Null) => Some(Value::Null),
        Some(serde_json::Value::Bool(value)) => Some(Value::Bool(*value)),
        Some(serde_json::Value::Number(value)) => value.as_i64().map(Value::Integer),
        Some(serde_json::Value::String(value)) => Some(Value::Text(value.clone())),
        Some(_) => None,
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
    Error::new(
        ErrorKind::Malformed,
        "cursor.invalid",
        "the cursor does not belong to this list; begin anew without it",
    )
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
