//! The fields of the engine's own documents: how they are written and read.

use std::time::Duration;

use mongodb::bson::{Binary, Bson, Document, doc, spec::BinarySubtype};
use neuroglia::clock::Timestamp;
use neuroglia::error::{Error, Result};
use uuid::Uuid;

/// The server's clock as an expression, in microseconds; the same throughout a command.
pub(super) fn now() -> Bson {
    Bson::Document(doc! { "$multiply": [{ "$toLong": "$$NOW" }, 1000_i64] })
}

/// A moment so long after the server's clock, as an expression.
pub(super) fn after(span: Duration) -> Bson {
    Bson::Document(doc! { "$add": [now(), micros(span)] })
}

/// A value in a place where MongoDB reads an expression.
pub(super) fn literal(value: impl Into<Bson>) -> Bson {
    Bson::Document(doc! { "$literal": value.into() })
}

/// Whether there is such a field, as an expression.
pub(super) fn has(field: &str) -> Bson {
    Bson::Document(doc! { "$ne": [{ "$type": format!("${field}") }, "missing"] })
}

/// One of two values, as an expression.
pub(super) fn either(condition: impl Into<Bson>, one: impl Into<Bson>, other: impl Into<Bson>) -> Bson {
    Bson::Document(doc! { "$cond": [condition.into(), one.into(), other.into()] })
}

/// Whether nobody holds what has a `holder`, or his time is over, as an expression.
pub(super) fn nobody_holds() -> Bson {
    let is_nobodys = doc! { "$eq": [{ "$ifNull": ["$holder", Bson::Null] }, Bson::Null] };
    let is_over = doc! { "$lte": ["$expires_at", now()] };
    Bson::Document(doc! { "$or": [is_nobodys, is_over] })
}

/// No field at all, as the value of an expression.
pub(super) const NOTHING: &str = "$$REMOVE";

/// A span as a number.
pub(super) fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX / 4)
}

pub(super) fn uuid(id: Uuid) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: id.as_bytes().to_vec() })
}

pub(super) fn uuids<'a>(ids: impl IntoIterator<Item = &'a Uuid>) -> Vec<Bson> {
    ids.into_iter().copied().map(uuid).collect()
}

/// Adds a field that not every document has.
pub(super) fn put(document: &mut Document, field: &str, value: Option<impl Into<Bson>>) {
    if let Some(value) = value {
        document.insert(field, value.into());
    }
}

/// Reads the fields of one document.
pub(super) trait Fields {
    fn text(&self, field: &str) -> Result<String>;
    fn text_if_any(&self, field: &str) -> Result<Option<String>>;
    fn whole(&self, field: &str) -> Result<i64>;
    fn number(&self, field: &str) -> Result<u32>;
    fn id(&self, field: &str) -> Result<Uuid>;
    fn id_if_any(&self, field: &str) -> Result<Option<Uuid>>;
    fn is(&self, field: &str) -> bool;
    fn moment(&self, field: &str) -> Result<Timestamp>;
}

impl Fields for Document {
    fn text(&self, field: &str) -> Result<String> {
        self.text_if_any(field)?.ok_or_else(|| odd(field))
    }

    fn text_if_any(&self, field: &str) -> Result<Option<String>> {
        match self.get(field) {
            None | Some(Bson::Null) => Ok(None),
            Some(Bson::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(odd(field)),
        }
    }

    fn whole(&self, field: &str) -> Result<i64> {
        match self.get(field) {
            Some(Bson::Int32(value)) => Ok(i64::from(*value)),
            Some(Bson::Int64(value)) => Ok(*value),
            _ => Err(odd(field)),
        }
    }

    fn number(&self, field: &str) -> Result<u32> {
        u32::try_from(self.whole(field)?).map_err(|_| odd(field))
    }

    fn id(&self, field: &str) -> Result<Uuid> {
        self.id_if_any(field)?.ok_or_else(|| odd(field))
    }

    fn id_if_any(&self, field: &str) -> Result<Option<Uuid>> {
        self.get(field).map(|value| as_uuid(value).ok_or_else(|| odd(field))).transpose()
    }

    fn is(&self, field: &str) -> bool {
        self.get_bool(field).unwrap_or(false)
    }

    fn moment(&self, field: &str) -> Result<Timestamp> {
        self.whole(field).map(Timestamp::from_unix_micros)
    }
}

pub(super) fn as_uuid(value: &Bson) -> Option<Uuid> {
    match value {
        Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes }) => Uuid::from_slice(bytes).ok(),
        _ => None,
    }
}

fn odd(field: &str) -> Error {
    Error::internal(format!("a stored document has no sound field {field}"))
}
