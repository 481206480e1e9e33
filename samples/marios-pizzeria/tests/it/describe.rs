//! What the executable tells about itself is what runs.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use serde_json::Value;

use crate::shop::{JWT_KEY, Shop};

/// Runs the pizzeria's executable with nothing but these variables.
fn pizzeria(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_marios-pizzeria"));
    command.args(arguments).env_clear().envs(variables.iter().copied());
    let output = command.output().expect("the executable runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON and nothing else")
}

/// Method and path of every operation of an OpenAPI document.
fn operations(document: &Value) -> BTreeSet<(String, String)> {
    let mut operations = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("operations").keys() {
            operations.insert((method.to_uppercase(), path.clone()));
        }
    }
    operations
}

#[tokio::test]
async fn the_document_that_is_served_is_the_one_that_is_printed() {
    let shop = Shop::open().await;
    let served = shop.get("/openapi.json").send().await.assert_status(200);
    // No setting is needed to print it.
    assert_eq!(served.json(), json_of(&pizzeria(&["openapi"], &[])));
    assert_eq!(served.json()["info"]["title"], "Mario's Pizzeria");
    shop.close().await;
}

/// The schema at this place of a document, or what it refers to; of what may be null, that which is not.
fn schema<'a>(document: &'a Value, pointer: &str) -> &'a Value {
    let found = document.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}"));
    let found = found.get("anyOf").map_or(found, |either| &either[0]);
    match found["$ref"].as_str() {
        Some(reference) => schema(document, reference.trim_start_matches('#')),
        None => found,
    }
}

#[test]
fn the_document_says_what_a_text_may_be() {
    let document = json_of(&pizzeria(&["openapi"], &[]));
    let statuses = ["pending", "confirmed", "cooking", "ready", "delivering", "delivered", "cancelled"];
    let (sizes, methods) = (["small", "medium", "large"], ["cash", "credit_card", "debit_card"]);
    let property = |of: &str, name: &str| {
        schema(&document, &format!("/components/schemas/{of}/properties/{name}")).clone()
    };
    for (of, name, names) in [
        ("OrderDto", "status", &statuses[..]),
        ("HistoryDto", "status", &statuses),
        ("LineDto", "size", &sizes),
        ("PlaceLine", "size", &sizes),
        ("PlaceOrder", "payment_method", &methods),
        ("PaymentChoice", "payment_method", &methods),
        ("PaymentDto", "method", &methods),
        ("PaymentDto", "status", &["due", "authorizing", "authorized", "captured", "refunded", "failed"]),
        ("NotificationDto", "kind", &["cooking", "ready", "delivering", "delivered", "cancelled"]),
        ("NotificationDto", "status", &["unread", "read", "dismissed"]),
    ] {
        assert_eq!(property(of, name)["enum"], Value::from(names), "{of}.{name}");
    }
    let filter = &document["paths"]["/api/v1/orders"]["get"]["parameters"];
    let filter =
        filter.as_array().expect("a list").iter().position(|parameter| parameter["name"] == "status");
    let filter = format!("/paths/~1api~1v1~1orders/get/parameters/{}/schema", filter.expect("a filter"));
    assert_eq!(schema(&document, &filter)["enum"], Value::from(&statuses[..]));

    for (of, name, format) in [
        ("OrderDto", "id", "uuid"),
        ("OrderDto", "placed_at", "date-time"),
        ("OrderDto", "estimated_ready_at", "date-time"),
        ("OrderCustomerDto", "id", "uuid"),
        ("LineDto", "id", "uuid"),
        ("HistoryDto", "at", "date-time"),
        ("ProfileDto", "id", "uuid"),
        ("NotificationDto", "order_id", "uuid"),
        ("NotificationDto", "at", "date-time"),
        ("OverviewDto", "as_of", "date-time"),
    ] {
        assert_eq!(property(of, name)["format"], format, "{of}.{name}");
    }
    for list in ["ProfileDto/properties/active_orders", "KitchenDto/properties/cooking"] {
        assert_eq!(schema(&document, &format!("/components/schemas/{list}/items"))["format"], "uuid");
    }
}

#[test]
fn the_document_says_what_is_refused() {
    let document = json_of(&pizzeria(&["openapi"], &[]));
    for replaced in ["ContactBody", "WritePizza", "PaymentChoice", "DriverChoice"] {
        let whole = &document["components"]["schemas"][replaced]["additionalProperties"];
        assert_eq!(whole, &Value::from(false), "{replaced}");
    }
    for (method, path) in [
        ("post", "/api/v1/orders"),
        ("post", "/api/v1/orders/{id}/cancel"),
        ("put", "/api/v1/orders/{id}/payment"),
        ("post", "/api/v1/orders/{id}/cook"),
    ] {
        assert!(document["paths"][path][method]["responses"]["403"].is_object(), "{method} {path}");
    }
    assert!(document["paths"]["/api/v1/orders/{id}"]["get"]["responses"]["403"].is_null());
}

#[test]
fn what_is_attached_is_described_without_its_secrets() {
    let database = "postgres://mario:hunter2@db.example.com:6432/shop?application_name=hunter3";
    let variables = [
        ("DATABASE_URL", database),
        ("CACHE_URL", "redis://:hunter2@cache"),
        ("AUTH_ISSUER", "https://id.example:8443/realms/pizza"),
        ("AUTH_AUDIENCE", "pizza"),
        ("EMAIL_SMTP_HOST", "letters.example"),
        ("JWT_SECRET_KEY", JWT_KEY),
    ];
    for form in [&["describe"][..], &["describe", "--json"]] {
        let output = pizzeria(form, &variables);
        let text = String::from_utf8_lossy(&output.stdout);
        for address in ["db.example.com:6432", "cache", "id.example:8443", "letters.example"] {
            assert!(text.contains(address), "{address} in {text}");
        }
        assert!(!text.contains("hunter"), "{text}");
    }
}

#[tokio::test]
async fn describe_lists_everything() {
    let variables = [("DATABASE_URL", "memory:"), ("JWT_SECRET_KEY", JWT_KEY)];
    let described = json_of(&pizzeria(&["describe", "--json"], &variables));
    let document = json_of(&pizzeria(&["openapi"], &[]));
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let list = |name: &str| described[name].as_array().expect(name).clone();

    let routes: BTreeSet<_> =
        list("routes").iter().map(|route| (text(&route["method"]), text(&route["path"]))).collect();
    assert_eq!(routes, operations(&document));
    assert!(list("routes").iter().all(|route| !text(&route["policy"]).is_empty()));

    let names =
        |name: &str| -> BTreeSet<String> { list(name).iter().map(|item| text(&item["name"])).collect() };
    for message in ["PlaceOrder", "GetOrder", "AdvanceOrder", "CancelOrder", "LogIn", "order.created"] {
        assert!(names("messages").contains(message), "{message} in {:?}", names("messages"));
    }
    for command in ["migrate", "seed", "create-user"] {
        assert!(names("admin_commands").contains(command), "{command}");
    }
    for setting in ["PORT", "DATABASE_URL", "JWT_SECRET_KEY", "KITCHEN_CAPACITY", "SHUTDOWN_TIMEOUT"] {
        assert!(names("settings").contains(setting), "{setting}");
    }
    assert_eq!(described["pipeline"][0], "Trace");
    assert_eq!(list("migrations").len(), pizzeria_application::migrations().len());
    for process in ["web", "all", "admin"] {
        assert!(list("processes").contains(&Value::from(process)), "{process}");
    }
    let services: BTreeSet<_> = list("services").iter().map(|service| text(&service["service"])).collect();
    for service in ["dyn Store", "House", "dyn PasswordHasher", "Clock"] {
        assert!(services.contains(service), "{service} in {services:?}");
    }
    assert!(!described.to_string().contains(JWT_KEY));

    // For people, with or without settings.
    let table = String::from_utf8(pizzeria(&["describe"], &[]).stdout).expect("UTF-8");
    for part in ["processes: web", "/api/v1/orders/{id}/cook", "roles(chef, manager)", "JWT_SECRET_KEY"] {
        assert!(table.contains(part), "{part} in\n{table}");
    }
}
