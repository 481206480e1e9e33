//! A document's body: JSON text outside, BSON inside, so that it can be read and queried as any document of MongoDB.
//!
//! - **Whole numbers** are 32 or 64 bits wide, as small as they fit; one above 2⁶³ is a decimal.
//! - **Null is not stored.** A field that is null is left out, and its path stands in `nulls`: so that one condition
//!   finds what is unset, and a unique index passes by what it must not see. Nulls in arrays stay where they are,
//!   because no path leads there.
//! - **Names** with a dot, or with a dollar sign at the beginning, mean something else to MongoDB; such characters, and
//!   NUL, are written as `%2E` and the like. Names of declared fields have none of them.

use std::borrow::Cow;

use mongodb::bson::{Bson, Decimal128, Document};
use neuroglia::error::{Error, Result};
use serde_json::{Map, Number, Value};

/// The fields that a body takes in its stored document.
pub(super) const BODY: &str = "body";
/// The paths in the body whose value is null.
pub(super) const NULLS: &str = "nulls";

/// What is stored of a body.
pub(super) struct Stored {
    pub(super) body: Document,
    pub(super) nulls: Vec<String>,
}

/// Reads a body.
///
/// # Errors
/// When it is not the JSON text of an object.
pub(super) fn stored(text: &str) -> Result<Stored> {
    let fields: Map<String, Value> = serde_json::from_str(text).map_err(Error::internal)?;
    let mut nulls = Vec::new();
    let body = object(fields, &mut Some((String::new(), &mut nulls)))?;
    Ok(Stored { body, nulls })
}

/// Writes a body.
///
/// # Errors
/// When something has a type that JSON has no form for, as only somebody else can have stored it.
pub(super) fn text(body: Document, nulls: &[Bson]) -> Result<String> {
    let mut fields = map(body)?;
    for path in nulls {
        let path = path.as_str().ok_or_else(|| Error::internal("a path of a null is a text"))?;
        put_null(&mut fields, path);
    }
    serde_json::to_string(&fields).map_err(Error::internal)
}

/// Where an object stands, and where to note its nulls; none within an array.
type Notes<'a> = Option<(String, &'a mut Vec<String>)>;

fn object(fields: Map<String, Value>, notes: &mut Notes<'_>) -> Result<Document> {
    let mut document = Document::new();
    for (name, value) in fields {
        let name = escaped(&name).into_owned();
        let Some((path, nulls)) = notes else {
            document.insert(name, bson(value, &mut None)?);
            continue;
        };
        let own = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if value.is_null() {
            nulls.push(own);
        } else {
            document.insert(name, bson(value, &mut Some((own, &mut **nulls)))?);
        }
    }
    Ok(document)
}

fn bson(value: Value, notes: &mut Notes<'_>) -> Result<Bson> {
    Ok(match value {
        Value::Null => Bson::Null,
        Value::Bool(value) => Bson::Boolean(value),
        Value::Number(number) => numeric(&number)?,
        Value::String(text) => Bson::String(text),
        Value::Array(items) => {
            let items = items.into_iter().map(|item| bson(item, &mut None));
            Bson::Array(items.collect::<Result<_>>()?)
        }
        Value::Object(fields) => Bson::Document(object(fields, notes)?),
    })
}

fn numeric(number: &Number) -> Result<Bson> {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(whole), ..) => Ok(integer(whole)),
        (None, Some(_), _) => number.to_string().parse().map(Bson::Decimal128).map_err(Error::internal),
        (None, None, Some(real)) => Ok(Bson::Double(real)),
        (None, None, None) => Err(Error::internal("a number is no number of JSON")),
    }
}

/// A whole number, as small as it fits.
pub(super) fn integer(whole: i64) -> Bson {
    i32::try_from(whole).map_or(Bson::Int64(whole), Bson::Int32)
}

fn map(document: Document) -> Result<Map<String, Value>> {
    document.into_iter().map(|(name, value)| Ok((unescaped(name), json(value)?))).collect()
}

fn json(value: Bson) -> Result<Value> {
    Ok(match value {
        Bson::Null => Value::Null,
        Bson::Boolean(value) => Value::Bool(value),
        Bson::Int32(whole) => Value::from(whole),
        Bson::Int64(whole) => Value::from(whole),
        Bson::Double(real) => Number::from_f64(real).map_or(Value::Null, Value::Number),
        Bson::Decimal128(decimal) => decimal_number(&decimal)?,
        Bson::String(text) => Value::String(text),
        Bson::Array(items) => Value::Array(items.into_iter().map(json).collect::<Result<_>>()?),
        Bson::Document(document) => Value::Object(map(document)?),
        other => {
            return Err(Error::internal(format!(
                "JSON has no form for a value of type {:?}",
                other.element_type()
            )));
        }
    })
}

fn decimal_number(decimal: &Decimal128) -> Result<Value> {
    serde_json::from_str(&decimal.to_string()).map_err(Error::internal)
}

fn put_null(fields: &mut Map<String, Value>, path: &str) {
    match path.split_once('.') {
        None => drop(fields.insert(unescaped(path.to_owned()), Value::Null)),
        Some((name, rest)) => {
            if let Some(Value::Object(inner)) = fields.get_mut(&unescaped(name.to_owned())) {
                put_null(inner, rest);
            }
        }
    }
}

/// A name that MongoDB takes for nothing but a name.
fn escaped(name: &str) -> Cow<'_, str> {
    if !name.is_empty() && !name.contains(['%', '.', '$', '\0']) {
        return Cow::Borrowed(name);
    }
    if name.is_empty() {
        // MongoDB takes it, and half of its operators do not.
        return Cow::Borrowed("%");
    }
    let mut plain = String::with_capacity(name.len() + 8);
    for (place, character) in name.char_indices() {
        match character {
            '%' => plain.push_str("%25"),
            '.' => plain.push_str("%2E"),
            '$' if place == 0 => plain.push_str("%24"),
            '\0' => plain.push_str("%00"),
            other => plain.push(other),
        }
    }
    Cow::Owned(plain)
}

fn unescaped(name: String) -> String {
    if !name.contains('%') {
        return name;
    }
    if name == "%" {
        return String::new();
    }
    // Each `%25` gives its sign last, so that what it makes is not read again.
    name.replace("%2E", ".").replace("%24", "$").replace("%00", "\0").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn there_and_back(value: &Value) -> Value {
        let Stored { body, nulls } = stored(&value.to_string()).expect("an object is stored");
        let nulls: Vec<_> = nulls.into_iter().map(Bson::String).collect();
        serde_json::from_str(&text(body, &nulls).expect("what was stored is read")).expect("it is JSON")
    }

    #[test]
    fn nulls_are_left_out_and_their_paths_noted() {
        let value = json!({ "a": null, "b": { "c": null, "d": [null, { "e": null }] }, "f": {} });
        let Stored { body, nulls } = stored(&value.to_string()).expect("an object is stored");
        assert_eq!(nulls, ["a", "b.c"]);
        assert!(!body.contains_key("a") && body.contains_key("f"));
        assert_eq!(there_and_back(&value), value);
    }

    #[test]
    fn names_that_mean_something_to_mongodb_are_only_names() {
        let value = json!({
            "a.b": 1, "$set": { "$x.y": null, "": null }, "%": 2, "%2E": 3, "%252E": null, "": 4, "n\0l": 5, "%25": 6
        });
        let body = stored(&value.to_string()).expect("an object is stored").body;
        let odd = |name: &String| name.contains(['.', '\0']) || name.starts_with('$') || name.is_empty();
        assert!(!body.keys().any(odd), "{body}");
        assert_eq!(there_and_back(&value), value);
    }

    #[test]
    fn numbers_keep_their_value() {
        let value = json!({ "a": [i64::MIN, i64::MAX, u64::MAX, 0, -1, i32::MAX, 0.5, -1e300, 5e-324] });
        assert_eq!(there_and_back(&value), value);
        assert!(stored("[1]").is_err() && stored("1").is_err(), "a body is an object");
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e12..1e12_f64).prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[%.$a20E5\\x00]{0,4}", inner, 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_body_comes_back_as_it_was(fields in prop::collection::btree_map("[%.$a20E5]{0,4}", values(), 0..6)) {
            let value = Value::Object(fields.into_iter().collect());
            prop_assert_eq!(there_and_back(&value), value);
        }
    }
}
