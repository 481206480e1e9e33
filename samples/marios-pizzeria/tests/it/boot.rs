//! What keeps the pizzeria from opening, all at once, and that two of them share nothing.

use std::sync::Arc;

use async_trait::async_trait;
use marios_pizzeria::PizzeriaSettings;
use neuroglia::StartError;
use neuroglia::clock::Clock;
use neuroglia::data::{Migration, Step};
use neuroglia::di::{Inject, Service};
use neuroglia::error::Result;
use neuroglia::fault::{Area, Fault, Faults};
use neuroglia::id::Ids;
use neuroglia::settings::Secret;
use neuroglia_testing::environment;
use pizzeria_application::accounts::PasswordHasher;
use pizzeria_domain::user::PasswordHash;
use serde_json::json;

use crate::shop::{Engine, JWT_KEY, Opening, Shop, guest_order, ids, sqlite_url};

async fn faults_of(app: neuroglia::App<PizzeriaSettings>, variables: &[(&str, &str)]) -> Faults {
    match app.start(&environment(variables.iter().copied())).await {
        Err(StartError::Faults(faults)) => faults,
        Err(StartError::Failed(error)) => panic!("it failed, and was not judged: {error}"),
        Ok(running) => panic!("it started at {}", running.address()),
    }
}

fn find<'a>(faults: &'a Faults, area: Area, what: &str) -> &'a Fault {
    let found = faults.iter().find(|fault| fault.area == area && format!("{fault:?}").contains(what));
    found.unwrap_or_else(|| panic!("nothing about {what} in\n{faults}"))
}

#[tokio::test]
async fn settings_and_routes_are_reported_together() {
    let variables = [
        ("JWT_SECRET_KEY", "short"),
        ("KITCHEN_CAPACITY", "0"),
        ("CURRENCY", "dollars"),
        ("HTTP_BODY_MAX", "much"),
        ("LOGIN_LIMIT_ACCOUNT", "often"),
    ];
    let faults = faults_of(marios_pizzeria::app().web(pizzeria_api::controllers), &variables).await;
    let names = variables.iter().map(|(name, _)| *name).chain(["DATABASE_URL"]);
    for name in names {
        let fault = find(&faults, Area::Settings, name);
        assert!(!fault.what.is_empty() && !fault.fix.is_empty(), "{fault:?}");
    }
    let routes = faults.iter().filter(|fault| fault.area == Area::Routes).count();
    assert_eq!(routes, 36, "{faults}");
    assert!(!faults.to_string().contains("`short`"), "a secret is not echoed");
    // The report is one document for machines as well.
    let document = serde_json::to_value(&faults).expect("JSON");
    for fault in document.as_array().expect("a list") {
        for member in ["area", "code", "what", "at", "fix"] {
            assert!(fault[member].is_string(), "{member} of {fault}");
        }
    }
}

/// Nobody registers it.
struct Oven;

#[derive(Inject)]
#[expect(dead_code, reason = "it is never built; what it needs is the point")]
struct Baker {
    oven: Arc<Oven>,
}

/// Lives as long as the application and wants to hold what lives as long as a request.
#[derive(Inject)]
#[expect(dead_code, reason = "it is never built; what it needs is the point")]
struct Miser {
    purse: Arc<Purse>,
}

#[derive(Inject)]
struct Purse {}

#[derive(Inject)]
#[expect(dead_code, reason = "it is never built; what it needs is the point")]
struct Chicken {
    egg: Arc<Egg>,
}

#[derive(Inject)]
#[expect(dead_code, reason = "it is never built; what it needs is the point")]
struct Egg {
    chicken: Arc<Chicken>,
}

#[tokio::test]
async fn the_whole_graph_is_judged_before_anything_is_opened() {
    let app = marios_pizzeria::app().web(pizzeria_api::controllers).services(|services, _| {
        services.add_scoped::<Baker, Baker>();
        services.add_scoped::<Purse, Purse>();
        services.add_singleton::<Miser, Miser>();
        services.add_scoped::<Chicken, Chicken>();
        services.add_scoped::<Egg, Egg>();
        services.add_singleton::<Clock, Clock>();
    });
    let folder = tempfile::tempdir().expect("a folder");
    let url = sqlite_url(&folder);
    let faults = faults_of(app, &[("DATABASE_URL", &url), ("JWT_SECRET_KEY", JWT_KEY)]).await;
    for what in ["Oven", "Purse", "Chicken"] {
        find(&faults, Area::Services, what);
    }
    let routes = faults.iter().filter(|fault| fault.area == Area::Routes).count();
    assert_eq!(routes, 36, "{faults}");
    let files: Vec<_> = folder.path().read_dir().expect("a folder").collect();
    assert!(files.is_empty(), "no database was opened: {files:?}");
}

#[tokio::test]
async fn a_schema_that_is_behind_names_the_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = sqlite_url(&folder);
    let variables = [("DATABASE_URL", &*url), ("JWT_SECRET_KEY", JWT_KEY)];
    let faults = faults_of(marios_pizzeria::app(), &variables).await;
    let fault = find(&faults, Area::Schema, "the pizzeria opens");
    assert_eq!((fault.code, &*fault.at), ("behind", "DATABASE_URL"));
    assert!(fault.fix.contains("marios-pizzeria admin migrate"), "{fault:?}");

    crate::shop::migrate(&url).await;
    let running = marios_pizzeria::app().start(&environment(variables)).await.expect("it starts");
    assert!(running.stop().await);
}

#[tokio::test]
async fn an_empty_file_is_behind_although_the_application_has_no_migrations() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = sqlite_url(&folder);
    let variables = [("DATABASE_URL", &*url), ("JWT_SECRET_KEY", JWT_KEY)];
    let faults = faults_of(marios_pizzeria::app().migrations(Vec::new), &variables).await;
    let fault = find(&faults, Area::Schema, "framework: outbox and idempotency");
    assert_eq!((faults.iter().count(), fault.code), (1, "behind"));
    assert!(fault.fix.contains("marios-pizzeria admin migrate"), "{fault:?}");
}

#[tokio::test]
async fn migrations_that_no_store_could_apply_are_faults_before_it_is_opened() {
    fn odd() -> Vec<Migration> {
        let steps = || vec![Step::CreateCollection("ng_mine")];
        [2, 1].map(|version| Migration { version, name: "odd", steps: steps() }).to_vec()
    }
    let folder = tempfile::tempdir().expect("a folder");
    let url = sqlite_url(&folder);
    for secret in [JWT_KEY, "short"] {
        let variables = [("DATABASE_URL", &*url), ("JWT_SECRET_KEY", secret)];
        let faults = faults_of(marios_pizzeria::app().migrations(odd), &variables).await;
        find(&faults, Area::Schema, "its version does not follow 2");
        find(&faults, Area::Schema, "the name ng_mine is reserved");
    }
    assert!(folder.path().read_dir().expect("a folder").next().is_none(), "no database was opened");
}

#[tokio::test]
async fn a_weak_secret_is_refused_without_being_echoed() {
    for weak in [
        "secret",
        "changeme",
        "password123",
        "your-secret-key-change-in-production-please",
        "mario-secret-key-change-in-production",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "0123456789abcdefghijklmnopqrstuvwxyz",
        "x7Kp2mWq9vRt4nYb8sLd3fHj6gZc1aQ",
        "${JWT_SECRET_KEY_FROM_THE_VAULT_PLEASE}",
    ] {
        let faults =
            faults_of(marios_pizzeria::app(), &[("DATABASE_URL", "memory:"), ("JWT_SECRET_KEY", weak)]).await;
        find(&faults, Area::Settings, "JWT_SECRET_KEY");
        assert_eq!(faults.iter().count(), 1, "{faults}");
        // The word itself cannot be avoided.
        let is_echoed = weak != "secret" && format!("{faults} {faults:?}").contains(weak);
        assert!(!is_echoed, "{weak} is not echoed: {faults}");
    }
}

#[tokio::test]
async fn a_setting_of_two_names_has_one_value() {
    let both = |port, other| {
        [("PORT", port), ("SERVER_PORT", other), ("DATABASE_URL", "memory:"), ("JWT_SECRET_KEY", JWT_KEY)]
    };
    let faults = faults_of(marios_pizzeria::app(), &both("8000", "8001")).await;
    let fault = find(&faults, Area::Settings, "SERVER_PORT");
    assert_eq!(fault.code, "conflict");
    let running = marios_pizzeria::app().start(&environment(both("0", "0"))).await.expect("it starts");
    assert!(running.stop().await);
}

#[tokio::test]
async fn a_setting_that_nobody_knows_is_warned_about() {
    let environment = environment([
        ("PIZZERIA_OVEN", "hot"),
        ("KITCHEN_CAPACTY", "4"),
        ("DATABASE_URL", "memory:"),
        ("JWT_SECRET_KEY", JWT_KEY),
    ]);
    let report = environment.load::<PizzeriaSettings>(&["PIZZERIA_"]).report;
    assert!(report.faults().is_empty(), "{}", report.faults());
    let warned = |name: &str| report.warnings().iter().find(|warning| format!("{warning:?}").contains(name));
    assert!(warned("PIZZERIA_OVEN").is_some(), "{:?}", report.warnings());
    let running = marios_pizzeria::app().start(&environment).await.expect("it starts all the same");
    assert!(running.stop().await);
}

#[tokio::test]
async fn two_pizzerias_in_one_process_do_not_see_each_other() {
    let first = Shop::open().await;
    let second = Opening::new().set("KITCHEN_CAPACITY", "7").set("CURRENCY", "EUR").open().await;
    let order = first.guest_order().await;
    assert_eq!(ids(&second.read(&second.people.manager, "/api/v1/orders").await).len(), 0);
    let path = format!("/api/v1/orders/{}", order.id);
    second.get(&path).header("x-tracking-token", &order.token).send().await.assert_status(404);
    assert_eq!(first.read(&first.people.chef, "/api/v1/kitchen").await["capacity"], 3);
    assert_eq!(second.read(&second.people.chef, "/api/v1/kitchen").await["capacity"], 7);
    let menu = second.get("/api/v1/pizzas/margherita").send().await.json();
    assert_eq!(menu["base_price"], json!({"amount": "12.99", "currency": "EUR"}));
    first.close().await;
    second.guest_order().await;
    second.close().await;
}

/// A hasher that knows one word, and is fast.
struct OneWord;

#[async_trait]
impl PasswordHasher for OneWord {
    async fn hash(&self, _: Secret<String>) -> Result<PasswordHash> {
        Ok(PasswordHash::new("plain".to_owned()))
    }

    async fn verify(&self, password: Secret<String>, hash: Option<&PasswordHash>) -> Result<bool> {
        Ok(hash.is_some() && password.expose() == "sesame")
    }
}

#[tokio::test]
async fn a_test_replaces_a_port() {
    let opening = Opening::new().services(|services| {
        services.replace(Service::shared::<dyn PasswordHasher>(Arc::new(OneWord)));
        services.replace(Service::instance(Ids::sequence()));
    });
    let shop = opening.open().await;
    let log_in = |password: &str| {
        let credentials = json!({ "username": "luigi@example.com", "password": password });
        shop.post("/api/v1/auth/token").json(&credentials)
    };
    log_in("sesame").send().await.assert_status(200);
    log_in("open").send().await.problem(401, "auth.credentials");
    shop.post("/api/v1/orders").json(&guest_order()).send().await.assert_status(201);
    shop.close().await;
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_restart() {
    for engine in [Engine::Sqlite, Engine::Postgres, Engine::Mongo] {
        let shop = Opening::new().on(engine).open().await;
        let order = shop.guest_order().await;
        shop.bring_to(&order.id, "cooking").await;
        let before = shop.order(&order.id).await.json();
        let shop = shop.reopen().await;
        assert_eq!(shop.order(&order.id).await.json(), before);
        assert_eq!(shop.read(&shop.people.chef, "/api/v1/kitchen").await["cooking"], json!([order.id]));
        let path = format!("/api/v1/orders/{}", order.id);
        let followed = shop.get(&path).header("x-tracking-token", &order.token).send().await;
        assert_eq!(followed.assert_status(200).json(), before);
        shop.close().await;
    }
}
