//! One operation of the document while it is drawn.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use neuroglia_core::error::ErrorKind;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::document::component;
use super::schemas::{Schemas, array, without_null};
use crate::web::policy::Policy;
use crate::web::routes::Route;

/// One operation of the document, to which the types of an action's signature add what they mean.
///
/// A type that implements [`Describe`](super::Describe) calls the methods that apply to it, in any order.
#[derive(Debug)]
pub struct Operation<'a> {
    method: &'a Method,
    path: &'a str,
    policy: &'a Policy,
    schemas: &'a mut Schemas,
    optional: bool,
    pub(super) summary: String,
    pub(super) description: String,
    pub(super) parameters: Vec<Value>,
    pub(super) body: Option<Value>,
    /// By status, `2XX` and the like included.
    pub(super) replies: BTreeMap<String, Value>,
    pub(super) problems: BTreeMap<u16, String>,
}

impl<'a> Operation<'a> {
    pub(super) fn new(route: &'a Route, schemas: &'a mut Schemas) -> Self {
        Self {
            method: &route.method,
            path: &route.path,
            policy: &route.policy,
            schemas,
            optional: false,
            summary: String::new(),
            description: String::new(),
            parameters: Vec::new(),
            body: None,
            replies: BTreeMap::new(),
            problems: BTreeMap::new(),
        }
    }

    /// The route's method.
    pub fn method(&self) -> &Method {
        self.method
    }

    /// The route's path, with its parameters in braces.
    pub fn path(&self) -> &str {
        self.path
    }

    /// Who may call it.
    pub fn policy(&self) -> &Policy {
        self.policy
    }

    /// Takes the first paragraph of a doc comment as the summary, and the rest as the description.
    pub fn documented(&mut self, docs: &str) {
        let docs = docs.trim();
        let (first, rest) = docs.split_once("\n\n").unwrap_or((docs, ""));
        let summary = first.split_whitespace().collect::<Vec<_>>().join(" ");
        self.summary = summary.strip_suffix('.').unwrap_or(&summary).to_owned();
        self.description = rest.trim().to_owned();
    }

    /// The parameters of the path: one value, a tuple in the path's order, or an object with their names.
    pub fn path_parameters<T: JsonSchema>(&mut self) {
        let schema = self.schemas.request::<T>();
        let names = path_parameters(self.path);
        let resolved = self.schemas.resolve(&schema).clone();
        let by_name = self.schemas.properties(&schema);
        let by_position = array(&resolved, "prefixItems");
        let named = by_name.iter().any(|property| names.contains(&property.name.as_str()));
        for (position, name) in names.iter().enumerate() {
            let schema = if named {
                by_name.iter().find(|property| property.name == *name).map(|property| property.schema.clone())
            } else if !by_position.is_empty() {
                by_position.get(position).cloned()
            } else if names.len() == 1 {
                Some(schema.clone())
            } else {
                resolved.get("additionalProperties").cloned()
            };
            if let Some(schema) = schema {
                self.parameter("path", name, true, schema, None);
            }
        }
    }

    /// The parameters of the query: the fields of an object.
    pub fn query_parameters<T: JsonSchema>(&mut self) {
        let schema = self.schemas.request::<T>();
        for property in self.schemas.properties(&schema) {
            let required = property.required && !self.optional;
            self.parameter("query", &property.name, required, property.schema, None);
        }
    }

    /// A header that the operation reads.
    pub fn header_parameter<T: JsonSchema>(&mut self, name: &str, required: bool, description: &str) {
        let schema = self.schemas.request::<T>();
        let required = required && !self.optional;
        self.parameter("header", name, required, schema, Some(description));
    }

    /// The body of the request. Called several times, it may be any of these media types.
    pub fn body<T: JsonSchema + ?Sized>(&mut self, media_type: &str) {
        let schema = self.schemas.request::<T>();
        let body = self.body.get_or_insert_with(|| json!({"required": !self.optional, "content": {}}));
        body["content"][media_type] = json!({ "schema": schema });
    }

    /// What is described meanwhile may be left out of the request.
    pub fn optionally(&mut self, describe: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.optional, true);
        describe(self);
        self.optional = outer;
    }

    /// A reply with a body.
    pub fn reply<T: JsonSchema + ?Sized>(&mut self, status: StatusCode, media_type: &str) {
        let schema = self.schemas.reply::<T>();
        self.reply_of(status)["content"][media_type] = json!({ "schema": schema });
    }

    /// A reply without a body.
    pub fn empty_reply(&mut self, status: StatusCode) {
        self.reply_of(status);
    }

    /// Replies that differ only in the last digits of their status: 3 for every redirection.
    pub(super) fn replies_of_class(&mut self, class: u8, description: &str) {
        self.replies.insert(format!("{class}XX"), json!({ "description": description }));
    }

    /// What was described as a success has this status instead.
    pub fn success_status(&mut self, status: StatusCode) {
        let successes: Vec<String> = self.successes().map(|(key, _)| key.clone()).collect();
        for key in successes {
            if let Some(mut reply) = self.replies.remove(&key) {
                reply["description"] = json!(phrase(status));
                self.replies.insert(status.as_str().to_owned(), reply);
            }
        }
    }

    /// A header of every success that was described so far.
    pub fn reply_header<T: JsonSchema>(&mut self, name: &str, description: &str) {
        let header = json!({"description": description, "schema": self.schemas.reply::<T>()});
        self.insert_header(name, &header);
    }

    /// An error that this operation in particular answers with, and when.
    ///
    /// Those that every operation of its shape can answer with are in the document anyway.
    pub fn problem(&mut self, kind: ErrorKind, description: &str) {
        self.problems.insert(kind.status(), description.to_owned());
    }

    /// The successes are something new, with its address.
    pub(super) fn located(&mut self) {
        self.insert_header("Location", &component("headers", "Location"));
    }

    /// The successes may be one page of several.
    pub(super) fn paged(&mut self) {
        self.insert_header("Link", &component("headers", "Link"));
    }

    /// The successes have a version, by which a reader can ask whether there is another.
    pub(super) fn tagged(&mut self) {
        self.insert_header("ETag", &component("headers", "ETag"));
        if self.method == Method::GET {
            self.parameters.push(component("parameters", "IfNoneMatch"));
            self.replies
                .insert(StatusCode::NOT_MODIFIED.as_str().to_owned(), component("responses", "NotModified"));
        }
    }

    /// The caller may name the version that it believes in.
    pub(super) fn conditional(&mut self) {
        self.parameters.push(component("parameters", "IfMatch"));
        self.problems.entry(StatusCode::PRECONDITION_FAILED.as_u16()).or_default();
    }

    pub(super) fn insert_header(&mut self, name: &str, header: &Value) {
        for (_, reply) in self.successes() {
            reply["headers"][name] = header.clone();
        }
    }

    pub(super) fn has_parameters_in(&self, place: &str) -> bool {
        self.parameters.iter().any(|parameter| parameter["in"] == place)
    }

    /// Adds the parameters of the path that no type has described, and puts all parameters in the order of a request:
    /// path, query, headers.
    pub(super) fn complete_parameters(&mut self) {
        for name in path_parameters(self.path) {
            if !self.parameters.iter().any(|known| known["in"] == "path" && known["name"] == name) {
                self.parameter("path", name, true, json!({"type": "string"}), None);
            }
        }
        let places = ["path", "query", "header"];
        // What is a reference is a header.
        self.parameters
            .sort_by_key(|known| places.iter().position(|place| known["in"] == *place).unwrap_or(2));
    }

    fn reply_of(&mut self, status: StatusCode) -> &mut Value {
        self.replies
            .entry(status.as_str().to_owned())
            .or_insert_with(|| json!({ "description": phrase(status) }))
    }

    fn successes(&mut self) -> impl Iterator<Item = (&String, &mut Value)> {
        self.replies.iter_mut().filter(|(status, _)| status.starts_with('2'))
    }

    fn parameter(
        &mut self,
        place: &str,
        name: &str,
        required: bool,
        schema: Value,
        description: Option<&str>,
    ) {
        if self.parameters.iter().any(|known| known["in"] == place && known["name"] == name) {
            return;
        }
        let mut schema = without_null(schema);
        let mut parameter = Map::new();
        parameter.insert("in".to_owned(), json!(place));
        parameter.insert("name".to_owned(), json!(name));
        parameter.insert("required".to_owned(), json!(required));
        if let Some(members) = schema.as_object_mut() {
            // Readers look for these at the parameter.
            for key in ["description", "deprecated"] {
                parameter.extend(members.remove_entry(key));
            }
        }
        if let Some(description) = description {
            parameter.insert("description".to_owned(), json!(description));
        }
        parameter.insert("schema".to_owned(), schema);
        self.parameters.push(Value::Object(parameter));
    }
}

fn phrase(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("The answer")
}

/// The names in the braces of a path.
pub(super) fn path_parameters(path: &str) -> Vec<&str> {
    let opened = path.split('{').skip(1);
    opened.filter_map(|rest| rest.split_once('}')).map(|(name, _)| name.trim_start_matches('*')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parameters() {
        assert_eq!(path_parameters("/a/{b}/c/{d_e}/{*rest}"), ["b", "d_e", "rest"]);
        assert!(path_parameters("/a").is_empty());
    }
}
