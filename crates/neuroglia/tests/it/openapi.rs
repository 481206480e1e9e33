//! The OpenAPI document of a small application, whose controllers are written as everybody's are.

use neuroglia::di::Inject;
use neuroglia::web::openapi::{Describe, Info, Operation, document};
use neuroglia::web::{
    Controller, Created, IfMatch, Json, NoContent, Path, Problem, Query, Tagged, controller,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Inject)]
struct PizzasController {}

/// How large a pizza is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Size {
    Small,
    Large,
}

/// A pizza on the menu.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Pizza {
    /// Its slug.
    id: String,
    #[serde(default)]
    sizes: Vec<Size>,
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is of interest")]
struct Listing {
    /// Only of this size.
    size: Option<Size>,
    /// How many at most.
    #[serde(default = "twenty")]
    #[schemars(range(min = 1, max = 100))]
    limit: u32,
    /// Words that the name has.
    search: String,
}

fn twenty() -> u32 {
    20
}

/// What a guest follows an order with; only its description is of interest.
struct Token;

impl<S: Send + Sync> neuroglia::web::axum::extract::FromRequestParts<S> for Token {
    type Rejection = Problem;

    async fn from_request_parts(
        _: &mut neuroglia::web::http::request::Parts,
        _: &S,
    ) -> Result<Self, Problem> {
        Ok(Self)
    }
}

impl Describe for Token {
    fn describe_parameter(operation: &mut Operation<'_>) {
        operation.header_parameter::<String>("X-Token", false, "from the 201");
    }
}

/// A type that nothing is known of.
struct Mystery;

impl<S: Send + Sync> neuroglia::web::axum::extract::FromRequestParts<S> for Mystery {
    type Rejection = Problem;

    async fn from_request_parts(
        _: &mut neuroglia::web::http::request::Parts,
        _: &S,
    ) -> Result<Self, Problem> {
        Ok(Self)
    }
}

#[controller("/pizzas")]
impl PizzasController {
    /// The menu,
    /// page by page.
    ///
    /// Sorted by name.
    #[get("/", public)]
    async fn list(&self, Query(_listing): Query<Listing>) -> Json<Vec<Pizza>> {
        Json(Vec::new())
    }

    /// One pizza.
    #[get("/{id}", public)]
    async fn show(&self, Path(id): Path<String>) -> Result<Tagged<Json<Pizza>>, Problem> {
        Ok(Tagged::new(0, Json(Pizza { id, sizes: Vec::new() })))
    }

    #[post("/", roles("chef", "manager"))]
    async fn add(&self, Json(pizza): Json<Pizza>) -> Created<Json<Pizza>> {
        Created { location: format!("/pizzas/{}", pizza.id), body: Json(pizza) }
    }

    #[put("/{id}/{size}", authenticated)]
    async fn resize(
        &self,
        Path((_id, _size)): Path<(String, Size)>,
        _expected: IfMatch,
        _token: Token,
        _body: Option<Json<Pizza>>,
    ) -> NoContent {
        NoContent
    }

    #[delete("/{id}", roles("manager"))]
    async fn remove(&self, _mystery: Mystery) -> neuroglia::web::axum::response::Response {
        neuroglia::web::axum::response::Response::default()
    }
}

fn drawn() -> Value {
    let info = Info { title: "Pizzas".to_owned(), version: "1.2.3".to_owned(), session_cookie: None };
    document(&info, &PizzasController::routes())
}

/// The statuses and what they refer to.
fn responses(operation: &Value) -> Vec<(String, String)> {
    let responses = operation["responses"].as_object().expect("an object");
    let name = |response: &Value| match response["$ref"].as_str() {
        Some(path) => path.rsplit('/').next().unwrap_or_default().to_owned(),
        None => response["description"].as_str().unwrap_or_default().to_owned(),
    };
    responses.iter().map(|(status, response)| (status.clone(), name(response))).collect()
}

fn statuses(operation: &Value) -> Vec<String> {
    responses(operation).into_iter().map(|(status, _)| status).collect()
}

#[test]
fn the_frame_of_the_document() {
    let document = drawn();
    assert_eq!(document["openapi"], "3.1.1");
    assert_eq!(document["info"], json!({"title": "Pizzas", "version": "1.2.3"}));
    assert_eq!(document["servers"], json!([{"url": "/"}]));
    assert_eq!(document["tags"], json!([{"name": "Pizzas"}]));
    let paths: Vec<&String> = document["paths"].as_object().expect("an object").keys().collect();
    assert_eq!(paths, ["/pizzas", "/pizzas/{id}", "/pizzas/{id}/{size}"]);
    assert_eq!(document.to_string(), drawn().to_string());
}

#[test]
fn the_query_is_flattened_into_parameters() {
    let document = drawn();
    let list = &document["paths"]["/pizzas"]["get"];
    assert_eq!(list["operationId"], "pizzas_list");
    assert_eq!(list["summary"], "The menu, page by page");
    assert_eq!(list["description"], "Sorted by name.");
    assert_eq!(list["security"], json!([{}, {"bearerAuth": []}]));
    assert_eq!(
        list["parameters"],
        json!([
            {
                "in": "query", "name": "limit", "required": false, "description": "How many at most.",
                "schema": {"type": "integer", "format": "uint32", "default": 20, "minimum": 1, "maximum": 100}
            },
            {"in": "query", "name": "search", "required": true, "description": "Words that the name has.", "schema": {"type": "string"}},
            {
                "in": "query", "name": "size", "required": false, "description": "Only of this size.",
                "schema": {"$ref": "#/components/schemas/Size"}
            }
        ])
    );
    assert_eq!(statuses(list), ["200", "400", "401", "422", "429", "500", "503", "default"]);
}

#[test]
fn a_tagged_reply_can_be_asked_for_again() {
    let document = drawn();
    let show = &document["paths"]["/pizzas/{id}"]["get"];
    assert_eq!(
        show["parameters"],
        json!([
            {"in": "path", "name": "id", "required": true, "schema": {"type": "string"}},
            {"$ref": "#/components/parameters/IfNoneMatch"}
        ])
    );
    let reply = &show["responses"]["200"];
    assert_eq!(reply["headers"]["ETag"]["$ref"], "#/components/headers/ETag");
    assert_eq!(reply["content"]["application/json"]["schema"]["$ref"], "#/components/schemas/Pizza");
    assert_eq!(statuses(show), ["200", "304", "401", "404", "429", "500", "503", "default"]);
}

#[test]
fn what_is_sent_and_what_is_answered_differ_where_a_default_is() {
    let document = drawn();
    let add = &document["paths"]["/pizzas"]["post"];
    assert_eq!(add["requestBody"]["required"], true);
    assert_eq!(
        add["requestBody"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/PizzaInput"
    );
    assert_eq!(add["parameters"], json!([{"$ref": "#/components/parameters/IdempotencyKey"}]));
    assert_eq!(add["security"], json!([{"bearerAuth": ["chef"]}, {"bearerAuth": ["manager"]}]));
    assert_eq!(add["x-policy"], "roles(chef, manager)");
    assert_eq!(add["description"], "For these roles: `chef`, `manager`.");
    let headers: Vec<&String> =
        add["responses"]["201"]["headers"].as_object().expect("an object").keys().collect();
    assert_eq!(headers, ["Idempotency-Replayed", "Location"]);
    let expected = ["201", "400", "401", "403", "409", "413", "415", "422", "429", "500", "503", "default"];
    assert_eq!(statuses(add), expected);
    assert_eq!(document["components"]["schemas"]["Pizza"]["required"], json!(["id", "sizes"]));
    assert_eq!(document["components"]["schemas"]["PizzaInput"]["required"], json!(["id"]));
}

#[test]
fn a_tuple_a_condition_a_header_and_a_body_that_may_be_absent() {
    let document = drawn();
    let resize = &document["paths"]["/pizzas/{id}/{size}"]["put"];
    assert_eq!(
        resize["parameters"],
        json!([
            {"in": "path", "name": "id", "required": true, "schema": {"type": "string"}},
            {"in": "path", "name": "size", "required": true, "schema": {"$ref": "#/components/schemas/Size"}},
            {"$ref": "#/components/parameters/IfMatch"},
            {"in": "header", "name": "X-Token", "required": false, "description": "from the 201", "schema": {"type": "string"}},
            {"$ref": "#/components/parameters/IdempotencyKey"}
        ])
    );
    assert_eq!(resize["requestBody"]["required"], false);
    let all = responses(resize);
    assert!(all.contains(&("204".to_owned(), "No Content".to_owned())), "{all:?}");
    assert!(all.contains(&("412".to_owned(), "PreconditionFailed".to_owned())), "{all:?}");
}

#[test]
fn types_that_nothing_is_known_of_are_left_out() {
    let document = drawn();
    let remove = &document["paths"]["/pizzas/{id}"]["delete"];
    assert!(remove.get("requestBody").is_none());
    assert_eq!(responses(remove)[0], ("2XX".to_owned(), "The answer".to_owned()));
    assert_eq!(remove["parameters"][0]["name"], "id");
}

#[test]
fn every_reference_leads_to_a_component_and_every_component_is_referred_to() {
    let document = drawn();
    let mut referred = std::collections::BTreeSet::new();
    let mut pending = vec![&document];
    while let Some(value) = pending.pop() {
        if let Some(path) = value["$ref"].as_str() {
            assert!(document.pointer(&path[1..]).is_some(), "{path} leads nowhere");
            referred.insert(path.to_owned());
        }
        match value {
            Value::Object(members) => pending.extend(members.values()),
            Value::Array(items) => pending.extend(items),
            _ => {}
        }
    }
    for section in ["headers", "parameters", "responses", "schemas"] {
        for name in document["components"][section].as_object().expect("an object").keys() {
            assert!(referred.contains(&format!("#/components/{section}/{name}")), "{section} {name}");
        }
    }
}

#[test]
fn an_application_without_policies_has_no_security() {
    let routes: Vec<_> = PizzasController::routes().into_iter().take(2).collect();
    let info = Info { title: "Pizzas".to_owned(), version: "1.2.3".to_owned(), session_cookie: None };
    let document = document(&info, &routes);
    assert!(document["components"].get("securitySchemes").is_none());
    assert!(!statuses(&document["paths"]["/pizzas"]["get"]).contains(&"401".to_owned()));
}
