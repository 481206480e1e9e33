//! The schemas of an application's types, as requests and as replies.
//!
//! One type can have two schemas: a field with a default may be left out of a request and always stands in a
//! reply. So requests and replies have a generator each, with a place of its own for definitions, and at the end
//! both become one: a type whose two schemas agree is one component, and of one whose schemas do not, the
//! request's is called `…Input`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

const REPLIES: &str = "#/components/schemas/";
/// Only while the document is drawn; [`Schemas::finish`] leaves no such reference.
const REQUESTS: &str = "#/components/requests/";

/// The generators of a document.
#[derive(Debug)]
pub(super) struct Schemas {
    requests: SchemaGenerator,
    replies: SchemaGenerator,
}

/// A property of an object's schema.
pub(super) struct Property {
    pub(super) name: String,
    pub(super) schema: Value,
    pub(super) required: bool,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let settings = |path: &'static str| {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = path.into();
                settings.meta_schema = None;
            })
        };
        Self {
            requests: settings("/components/requests").for_deserialize().into_generator(),
            replies: settings("/components/schemas").for_serialize().into_generator(),
        }
    }

    /// How `T` looks in a request.
    pub(super) fn request<T: JsonSchema + ?Sized>(&mut self) -> Value {
        self.requests.subschema_for::<T>().to_value()
    }

    /// How `T` looks in a reply.
    pub(super) fn reply<T: JsonSchema + ?Sized>(&mut self) -> Value {
        self.replies.subschema_for::<T>().to_value()
    }

    /// The schema behind a reference of a request, or the schema itself.
    pub(super) fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let mut found = schema;
        // A chain of references is as long as there are definitions, or it is a circle.
        for _ in 0..=self.requests.definitions().len() {
            let name = found.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix(REQUESTS));
            match name.and_then(|name| self.requests.definitions().get(name)) {
                Some(definition) => found = definition,
                None => return found,
            }
        }
        found
    }

    /// The properties of a request's object, also of those that it is composed of.
    pub(super) fn properties(&self, schema: &Value) -> Vec<Property> {
        let mut found = Vec::new();
        self.collect_properties(schema, true, &mut found);
        found
    }

    fn collect_properties(&self, schema: &Value, binding: bool, found: &mut Vec<Property>) {
        let schema = self.resolve(schema);
        let required: BTreeSet<&str> = array(schema, "required").iter().filter_map(Value::as_str).collect();
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if found.iter().all(|known| known.name != *name) {
                found.push(Property {
                    name: name.clone(),
                    schema: property.clone(),
                    required: binding && required.contains(name.as_str()),
                });
            }
        }
        for part in array(schema, "allOf") {
            self.collect_properties(part, binding, found);
        }
        for part in array(schema, "anyOf").iter().chain(array(schema, "oneOf")) {
            self.collect_properties(part, false, found);
        }
    }

    /// Writes the definitions that the document refers to into its components, under their final names.
    pub(super) fn finish(mut self, document: &mut Value) {
        let replies = self.replies.take_definitions(false);
        let requests = self.requests.take_definitions(false);
        let names = request_names(&requests, &replies);
        let rename = |path: &str| {
            let name = path.strip_prefix(REQUESTS)?;
            Some(format!("{REPLIES}{}", names.get(name).map_or(name, String::as_str)))
        };
        rewrite_references(document, &rename);
        let mut definitions = replies;
        for (name, mut schema) in requests {
            rewrite_references(&mut schema, &rename);
            let name = names.get(&name).cloned().unwrap_or(name);
            definitions.insert(name, schema);
        }
        document["components"]["schemas"] = Value::Object(definitions);
    }
}

/// The names of requests' definitions that cannot keep theirs, because a reply's definition has it and differs.
fn request_names(requests: &Map<String, Value>, replies: &Map<String, Value>) -> BTreeMap<String, String> {
    let shared: BTreeMap<&String, Value> = requests
        .iter()
        .filter(|(name, _)| replies.contains_key(*name))
        .map(|(name, schema)| {
            let mut schema = schema.clone();
            rewrite_references(&mut schema, &|path| {
                Some(format!("{REPLIES}{}", path.strip_prefix(REQUESTS)?))
            });
            (name, schema)
        })
        .collect();
    let mut differing: BTreeSet<&String> = shared
        .iter()
        .filter(|(name, schema)| replies.get(**name) != Some(*schema))
        .map(|(name, _)| *name)
        .collect();
    // What refers to a type with two schemas has two itself.
    loop {
        let more: Vec<&String> = shared
            .iter()
            .filter(|(name, _)| !differing.contains(*name))
            .filter(|(_, schema)| {
                references(schema).iter().any(|path| differing.iter().any(|name| is_reference_to(path, name)))
            })
            .map(|(name, _)| *name)
            .collect();
        if more.is_empty() {
            break;
        }
        differing.extend(more);
    }
    let mut taken: BTreeSet<String> = requests.keys().chain(replies.keys()).cloned().collect();
    let mut names = BTreeMap::new();
    for name in differing {
        let mut other = format!("{name}Input");
        let mut count = 2;
        while !taken.insert(other.clone()) {
            other = format!("{name}Input{count}");
            count += 1;
        }
        names.insert(name.clone(), other);
    }
    names
}

fn is_reference_to(path: &str, name: &str) -> bool {
    path.strip_prefix(REPLIES) == Some(name)
}

/// Every reference within, sorted.
pub(super) fn references(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(path)) = members.get("$ref") {
                    found.insert(path.clone());
                }
                pending.extend(members.values());
            }
            Value::Array(items) => pending.extend(items),
            _ => {}
        }
    }
    found
}

fn rewrite_references(value: &mut Value, rename: &dyn Fn(&str) -> Option<String>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                match member {
                    Value::String(path) if key == "$ref" => {
                        if let Some(renamed) = rename(path) {
                            *path = renamed;
                        }
                    }
                    other => rewrite_references(other, rename),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite_references(item, rename)),
        _ => {}
    }
}

/// The schema without `null`: what is not sent in a query or a header is left out of it.
pub(super) fn without_null(mut schema: Value) -> Value {
    let Some(members) = schema.as_object_mut() else {
        // `true` allows anything; an object says so in every dialect.
        return json!({});
    };
    if members.get("default").is_some_and(Value::is_null) {
        members.remove("default");
    }
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_mut_slice() {
            let only = only.take();
            members.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = members.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    for composition in ["anyOf", "oneOf"] {
        let Some(Value::Array(parts)) = members.get_mut(composition) else { continue };
        parts.retain(|part| part.get("type") != Some(&json!("null")));
        if let [Value::Object(only)] = parts.as_mut_slice() {
            let only = std::mem::take(only);
            members.remove(composition);
            for (key, value) in only {
                members.entry(key).or_insert(value);
            }
        }
    }
    schema
}

pub(super) fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Money {
        amount: String,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Line {
        price: Money,
        #[serde(default)]
        quantity: u32,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Basket {
        lines: Vec<Line>,
        gift: Option<Money>,
    }

    #[test]
    fn a_type_has_one_schema_unless_requests_and_replies_differ() {
        let mut schemas = Schemas::new();
        let mut document = json!({"in": schemas.request::<Basket>(), "out": schemas.reply::<Basket>()});
        schemas.finish(&mut document);
        assert_eq!(document["in"]["$ref"], "#/components/schemas/BasketInput");
        assert_eq!(document["out"]["$ref"], "#/components/schemas/Basket");
        let definitions = document["components"]["schemas"].as_object().expect("an object");
        let names: Vec<&str> = definitions.keys().map(String::as_str).collect();
        assert_eq!(names, ["Basket", "BasketInput", "Line", "LineInput", "Money"]);
        assert_eq!(definitions["Line"]["required"], json!(["price", "quantity"]));
        assert_eq!(definitions["LineInput"]["required"], json!(["price"]));
        assert_eq!(definitions["LineInput"]["properties"]["price"]["$ref"], "#/components/schemas/Money");
        let strays = references(&document).into_iter().filter(|path| path.starts_with(REQUESTS)).count();
        assert_eq!(strays, 0);
    }

    #[test]
    fn null_is_taken_out() {
        let table = [
            (json!({"type": ["string", "null"], "default": null}), json!({"type": "string"})),
            (
                json!({"anyOf": [{"$ref": "#/a"}, {"type": "null"}], "description": "d"}),
                json!({"$ref": "#/a", "description": "d"}),
            ),
            (json!({"type": "string", "enum": ["a", null]}), json!({"type": "string", "enum": ["a"]})),
            (json!(true), json!({})),
        ];
        for (schema, expected) in table {
            assert_eq!(without_null(schema), expected);
        }
    }
}
