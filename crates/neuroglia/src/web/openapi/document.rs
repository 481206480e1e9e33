//! The document, from the table of routes.
//!
//! The result depends on the routes alone and is the same text on every run, so that a copy of it can be kept and
//! compared.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Map, Value, json};

use super::operation::Operation;
use super::problems::{
    ANY_PROBLEM, PROBLEMS, ProblemDocument, changes_something, components, problem_response,
};
use super::schemas::{Schemas, references};
use crate::web::policy::Policy;
use crate::web::routes::Route;

pub(super) use super::problems::component;

/// The version of the OpenAPI Specification that the document follows.
const OPENAPI: &str = "3.1.1";

/// What the document says about the application as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// What people call it.
    pub title: String,
    /// Its version.
    pub version: String,
    /// The name of the cookie by which a browser's session is found, where there are sessions.
    pub session_cookie: Option<&'static str>,
}

/// The OpenAPI document of these routes.
///
/// ```
/// use neuroglia::web::openapi::{Info, document};
///
/// let info =
///     Info { title: "Mario's Pizzeria".to_owned(), version: "1.0.0".to_owned(), session_cookie: None };
/// let document = document(&info, &[]);
/// assert_eq!(document["openapi"], "3.1.1");
/// assert_eq!(document["info"]["title"], "Mario's Pizzeria");
/// ```
pub fn document(info: &Info, routes: &[Route]) -> Value {
    let mut schemas = Schemas::new();
    // Both before any type of the application, so that the name is theirs.
    schemas.request::<ProblemDocument>();
    schemas.reply::<ProblemDocument>();

    let guarded = routes.iter().any(|route| *route.policy != Policy::Public);
    let mut ids = BTreeSet::new();
    let mut tags: Vec<String> = Vec::new();
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let (path, method) = (template(&route.path), route.method.as_str().to_ascii_lowercase());
        let item = paths.entry(path).or_insert_with(|| json!({}));
        if !is_documentable(&route.method) || item.get(&method).is_some() {
            continue;
        }
        let (controller, action) = names(route.action);
        let mut drawn = draw(route, &mut schemas, guarded, info.session_cookie.is_some());
        drawn["operationId"] = json!(unique(&mut ids, &snake_case(&[controller, action].join("_"))));
        if !controller.is_empty() {
            let tag = sentence_case(controller);
            drawn["tags"] = json!([tag]);
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        item[method] = drawn;
    }

    let mut document = json!({
        "openapi": OPENAPI,
        "info": {"title": info.title, "version": info.version},
        "servers": [{"url": "/"}],
        "tags": tags.iter().map(|tag| json!({"name": tag})).collect::<Vec<_>>(),
        "paths": paths,
        "components": components(),
    });
    if let Some(name) = info.session_cookie {
        document["components"]["securitySchemes"]["sessionCookie"] = json!({
            "type": "apiKey",
            "in": "cookie",
            "name": name,
            "description": "The session of a browser. A request that changes something says that it comes from this site, \
                            by Sec-Fetch-Site or Origin."
        });
    }
    schemas.finish(&mut document);
    drop_unused(&mut document, guarded);
    document
}

/// One operation as it stands in the document, without its id.
fn draw(route: &Route, schemas: &mut Schemas, guarded: bool, sessions: bool) -> Value {
    let mut operation = Operation::new(route, schemas);
    (route.describe)(&mut operation);
    operation.complete_parameters();
    if operation.replies.is_empty() {
        operation.replies_of_class(2, "The answer");
    }
    if changes_something(&route.method) {
        operation.parameters.push(component("parameters", "IdempotencyKey"));
        operation.insert_header("Idempotency-Replayed", &component("headers", "IdempotencyReplayed"));
    }
    let mut responses = std::mem::take(&mut operation.replies);
    for problem in &PROBLEMS {
        if (guarded || problem.status != 401) && problem.applies(&operation) {
            responses.insert(problem.status.to_string(), component("responses", problem.name));
        }
    }
    for (status, description) in operation.problems.iter().filter(|(_, description)| !description.is_empty())
    {
        let standard = PROBLEMS.iter().find(|problem| problem.status == *status);
        let mut response = standard.map_or_else(|| problem_response(""), |problem| problem.response());
        response["description"] = json!(description);
        responses.insert(status.to_string(), response);
    }
    responses.insert("default".to_owned(), component("responses", ANY_PROBLEM));

    let mut drawn = json!({ "responses": responses });
    let texts =
        [("summary", operation.summary), ("description", description(operation.description, &route.policy))];
    for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        drawn[key] = json!(text);
    }
    if !operation.parameters.is_empty() {
        drawn["parameters"] = Value::Array(operation.parameters);
    }
    if let Some(body) = operation.body {
        drawn["requestBody"] = body;
    }
    if guarded {
        drawn["security"] = security(&route.policy, sessions);
        drawn["x-policy"] = json!(route.policy.to_string());
    }
    drawn
}

/// Who may call it, as alternatives of which one has to hold.
fn security(policy: &Policy, sessions: bool) -> Value {
    let schemes: &[&str] = if sessions { &["bearerAuth", "sessionCookie"] } else { &["bearerAuth"] };
    let of_scheme = |scheme: &str| match policy {
        Policy::Public | Policy::Authenticated => vec![json!({ scheme: [] })],
        // A requirement names the roles that are needed together, so each is an alternative of its own.
        Policy::Roles(roles) => roles.iter().map(|role| json!({ scheme: [role] })).collect(),
    };
    let anybody = (*policy == Policy::Public).then(|| json!({}));
    anybody.into_iter().chain(schemes.iter().flat_map(|scheme| of_scheme(scheme))).collect()
}

fn description(text: String, policy: &Policy) -> String {
    let Policy::Roles(roles) = policy else { return text };
    let roles = roles.iter().map(|role| format!("`{role}`")).collect::<Vec<_>>().join(", ");
    [text, format!("For these roles: {roles}.")]
        .iter()
        .filter(|part| !part.is_empty())
        .cloned()
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// Whether a path item of OpenAPI has a place for the method.
fn is_documentable(method: &Method) -> bool {
    [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::PATCH, Method::HEAD, Method::OPTIONS]
        .contains(method)
}

/// The path with OpenAPI's spelling of a parameter that takes the rest of it.
fn template(path: &str) -> String {
    path.replace("{*", "{")
}

/// The controller without that word, which may be empty, and the action.
fn names(action: &str) -> (&str, &str) {
    let (controller, action) = action.rsplit_once("::").unwrap_or(("", action));
    (controller.strip_suffix("Controller").unwrap_or(controller), action)
}

/// `OrdersController::place` as `orders_place`.
fn snake_case(name: &str) -> String {
    words(name).join("_")
}

/// `PizzaSizes` as `Pizza sizes`.
fn sentence_case(name: &str) -> String {
    let words = words(name).join(" ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// The words of a name in lower case, from `CamelCase` or `snake_case`.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut previous_is_lower = false;
    let mut fresh = true;
    for letter in name.chars() {
        if !letter.is_ascii_alphanumeric() {
            fresh = true;
            continue;
        }
        if fresh || (letter.is_ascii_uppercase() && previous_is_lower) {
            words.push(String::new());
        }
        fresh = false;
        previous_is_lower = !letter.is_ascii_uppercase();
        if let Some(word) = words.last_mut() {
            word.push(letter.to_ascii_lowercase());
        }
    }
    words
}

/// The id, or the first free one after it.
fn unique(taken: &mut BTreeSet<String>, id: &str) -> String {
    let mut candidate = id.to_owned();
    let mut count = 2;
    while !taken.insert(candidate.clone()) {
        candidate = format!("{id}_{count}");
        count += 1;
    }
    candidate
}

/// Takes the components out that nothing in the paths leads to.
fn drop_unused(document: &mut Value, guarded: bool) {
    let mut used = BTreeSet::new();
    let mut pending: Vec<String> = references(&document["paths"]).into_iter().collect();
    while let Some(path) = pending.pop() {
        if let Some(target) = path.strip_prefix('#').and_then(|pointer| document.pointer(pointer)) {
            pending.extend(references(target).into_iter().filter(|found| !used.contains(found)));
        }
        used.insert(path);
    }
    let Some(sections) = document["components"].as_object_mut() else { return };
    for (section, entries) in sections.iter_mut() {
        let Some(entries) = entries.as_object_mut() else { continue };
        entries.retain(|name, _| match section.as_str() {
            "securitySchemes" => guarded,
            _ => used.contains(&format!("#/components/{section}/{name}")),
        });
    }
    sections.retain(|_, entries| entries.as_object().is_none_or(|entries| !entries.is_empty()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_operations_and_tags() {
        let id = |action| {
            let (controller, action) = names(action);
            snake_case(&[controller, action].join("_"))
        };
        assert_eq!(id("OrdersController::place"), "orders_place");
        assert_eq!(id("MeController::mark_read"), "me_mark_read");
        assert_eq!(id("PizzaSizesController::list"), "pizza_sizes_list");
        assert_eq!(id("version"), "version");
        assert_eq!(sentence_case("PizzaSizes"), "Pizza sizes");
        assert_eq!(sentence_case("Orders"), "Orders");
        let mut taken = BTreeSet::new();
        assert_eq!(unique(&mut taken, "a"), "a");
        assert_eq!(unique(&mut taken, "a"), "a_2");
    }
}
