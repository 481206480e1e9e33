//! A pizzeria that opens for one test: with its own database, its menu, and somebody of each role.

use std::any::Any;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use marios_pizzeria::PizzeriaSettings;
use neuroglia::App;
use neuroglia::auth::Tokens;
use neuroglia::clock::Clock;
use neuroglia::data::{Batch, Change, Condition, Select, Store, Write};
use neuroglia::di::{Lifetime, Service, ServiceCollection};
use neuroglia::error::Result;
use neuroglia::identity::Identity;
use neuroglia::messaging::{CloudEvent, EventBus, Inbox, LocalBus, Origin};
use neuroglia::web::Web;
use neuroglia_testing::services::{Database, MongoDatabase};
use neuroglia_testing::{TestApp, TestRequest, TestResponse};
use pizzeria_application::accounts::CreateUser;
use pizzeria_application::menu::SeedMenu;
use pizzeria_application::statistics::RebuildStatistics;
use pizzeria_domain::user::{PasswordHash, Role};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

/// What the tests' tokens are signed with.
pub(crate) const JWT_KEY: &str = "x7Kp2mWq9vRt4nYb8sLd3fHj6gZc1aQe";

/// The hash of a password that nobody has: who logs in by password is a matter of `security`.
const NO_PASSWORD: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$xXJ/GYC6W+R3+EBlyOaNyw$9ESc++cZvUBh1P8m4JZPjENn40t/Ss9ycmt2ET9SoUA";

/// On which store engine a pizzeria runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Memory,
    Sqlite,
    Postgres,
    Mongo,
}

impl Engine {
    pub(crate) const ALL: [Self; 4] = [Self::Memory, Self::Sqlite, Self::Postgres, Self::Mongo];
}

/// Longer than anything here takes on a busy machine, four pauses between tries among it.
const PATIENCE: Duration = Duration::from_secs(120);

/// An event as it left the pizzeria.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) name: String,
    pub(crate) subject: String,
    pub(crate) data: String,
    pub(crate) correlation_id: Option<String>,
    pub(crate) traceparent: Option<String>,
}

/// Every event that left, in order.
type Journal = Arc<Mutex<Vec<Told>>>;

/// The bus of the pizzeria, and a journal of what it carried.
struct JournalledBus {
    bus: LocalBus,
    origin: Arc<Origin>,
    journal: Journal,
}

#[async_trait]
impl EventBus for JournalledBus {
    fn name(&self) -> &'static str {
        self.bus.name()
    }

    async fn publish(&self, events: &[CloudEvent]) -> Vec<Result<()>> {
        let told = events.iter().map(|event| {
            let (name, _) = self.origin.parse_type(&event.event_type).expect("a type of the pizzeria");
            Told {
                name: name.to_owned(),
                subject: event.subject.clone().unwrap_or_default(),
                data: event.data.get().to_owned(),
                correlation_id: event.correlationid.clone(),
                traceparent: event.traceparent.clone(),
            }
        });
        self.journal.lock().expect("nobody panicked").extend(told);
        self.bus.publish(events).await
    }
}

/// `main`'s application, of whose events a journal is kept.
fn journalled(journal: &Journal) -> App<PizzeriaSettings> {
    let kept = Arc::clone(journal);
    marios_pizzeria::app().services(move |services, _| {
        let journal = Arc::clone(&kept);
        services.add(Service::factory::<dyn EventBus, (Inbox, Arc<Origin>), _>(
            Lifetime::Singleton,
            move |(inbox, origin)| {
                let bus = LocalBus::new(inbox);
                Ok(Arc::new(JournalledBus { bus, origin, journal: Arc::clone(&journal) })
                    as Arc<dyn EventBus>)
            },
        ));
    })
}

/// A pizzeria that is about to open.
pub(crate) struct Opening {
    app: App<PizzeriaSettings>,
    engine: Engine,
    has_menu: bool,
    variables: Vec<(String, String)>,
    journal: Journal,
}

impl Opening {
    /// One like `main`'s, in memory.
    pub(crate) fn new() -> Self {
        let journal = Journal::default();
        Self {
            app: journalled(&journal),
            journal,
            engine: Engine::Memory,
            has_menu: true,
            variables: vec![("JWT_SECRET_KEY".to_owned(), JWT_KEY.to_owned())],
        }
    }

    pub(crate) fn on(self, engine: Engine) -> Self {
        Self { engine, ..self }
    }

    /// Nobody has written the menu yet.
    pub(crate) fn without_menu(self) -> Self {
        Self { has_menu: false, ..self }
    }

    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Registers further services; most replace a port.
    pub(crate) fn services(
        mut self,
        services: impl Fn(&mut ServiceCollection) + Send + Sync + 'static,
    ) -> Self {
        self.app = self.app.services(move |collection, _| services(collection));
        self
    }

    /// With other routes than `main`'s.
    pub(crate) fn web(mut self, web: fn(Web) -> Web) -> Self {
        self.app = self.app.web(web);
        self
    }

    pub(crate) async fn open(mut self) -> Shop {
        let folder = tempfile::tempdir().expect("a folder");
        let (url, database): (_, Option<Box<dyn Any + Send>>) = match self.engine {
            Engine::Memory => ("memory:".to_owned(), None),
            Engine::Sqlite => (sqlite_url(&folder), None),
            Engine::Postgres => {
                let database = Database::create();
                (database.url(), Some(Box::new(database)))
            }
            Engine::Mongo => {
                let database = MongoDatabase::create();
                (database.url(), Some(Box::new(database)))
            }
        };
        migrate(&url).await;
        self.variables.push(("DATABASE_URL".to_owned(), url));
        let app = TestApp::start(self.app, self.variables.clone()).await;
        if self.has_menu {
            app.send(SeedMenu {}).await.expect("a menu");
        }
        let people = People::employed(&app).await;
        Shop { app, people, variables: self.variables, journal: self.journal, kept: (folder, database) }
    }
}

/// The URL of a database file in this folder.
pub(crate) fn sqlite_url(folder: &TempDir) -> String {
    format!("sqlite://{}", folder.path().join("pizzeria.db").display())
}

/// Brings the store's schema to what the pizzeria expects, as `admin migrate` does.
pub(crate) async fn migrate(url: &str) {
    let url: Url = url.parse().expect("a URL");
    let store = neuroglia_backing::store::connect(&url).await.expect("a store");
    let migrations = pizzeria_application::migrations();
    store.migrate(&migrations, Clock::system().now()).await.expect("migrations that apply");
    store.close().await;
}

/// Somebody with an account.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) phone: &'static str,
}

/// Somebody of each role, and somebody else of those to whom things belong.
pub(crate) struct People {
    pub(crate) customer: Person,
    pub(crate) other_customer: Person,
    pub(crate) chef: Person,
    pub(crate) driver: Person,
    pub(crate) other_driver: Person,
    pub(crate) manager: Person,
    pub(crate) admin: Person,
}

impl People {
    async fn employed(app: &TestApp) -> Self {
        Self {
            customer: account(app, "Daisy", Role::Customer, "+15550101").await,
            other_customer: account(app, "Wario", Role::Customer, "+15550102").await,
            chef: account(app, "Luigi", Role::Chef, "+15550103").await,
            driver: account(app, "Toad", Role::Driver, "+15550104").await,
            other_driver: account(app, "Yoshi", Role::Driver, "+15550105").await,
            manager: account(app, "Peach", Role::Manager, "+15550106").await,
            admin: account(app, "Rosalina", Role::Admin, "+15550107").await,
        }
    }
}

async fn account(app: &TestApp, name: &str, role: Role, phone: &'static str) -> Person {
    let command = CreateUser {
        username: format!("{}@example.com", name.to_lowercase()),
        name: name.to_owned(),
        role,
        password_hash: PasswordHash::new(NO_PASSWORD.to_owned()),
    };
    let id = app.send(command).await.expect("a new account").id;
    let tokens = app.running().services().get::<Tokens>().expect("registered");
    let token = tokens.issue(&Identity::known(&id, name, [role.as_str()])).expect("a token").access_token;
    Person { id, token, phone }
}

/// A pizzeria that is open.
pub(crate) struct Shop {
    app: TestApp,
    pub(crate) people: People,
    variables: Vec<(String, String)>,
    journal: Journal,
    kept: (TempDir, Option<Box<dyn Any + Send>>),
}

impl Deref for Shop {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.app
    }
}

impl Shop {
    /// One in memory with nothing special.
    pub(crate) async fn open() -> Self {
        Opening::new().open().await
    }

    /// Closes for the night, and opens again with what the database has kept.
    pub(crate) async fn reopen(self) -> Self {
        let Self { app, people, variables, journal, kept } = self;
        app.stop().await;
        let app = TestApp::start(journalled(&journal), variables.clone()).await;
        Self { app, people, variables, journal, kept }
    }

    /// As [`reopen`](Self::reopen), with one more setting.
    pub(crate) async fn reopen_with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self.reopen().await
    }

    /// Another process of it, with the same settings.
    pub(crate) async fn beside(&self) -> TestApp {
        TestApp::start(marios_pizzeria::app(), self.variables.clone()).await
    }

    /// Another process of it, with another clock.
    pub(crate) async fn beside_with_clock(&self, clock: Clock) -> TestApp {
        let app = marios_pizzeria::app().services(move |services, _| {
            services.replace(Service::instance(clock.clone()));
        });
        TestApp::start(app, self.variables.clone()).await
    }

    /// Ends it as a signal would.
    pub(crate) async fn close(self) {
        self.app.stop().await;
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.running().services().get::<dyn Store>().expect("registered")
    }

    /// Rebuilds the statistics, as `admin rebuild-statistics` does.
    pub(crate) async fn rebuild_statistics(&self) {
        let mut next = Some(RebuildStatistics::Begin);
        while let Some(stage) = next {
            next = self.send(stage).await.expect("a stage that succeeds");
        }
    }

    /// The documents of a collection, as they are stored.
    pub(crate) async fn documents(&self, collection: &'static str) -> Vec<Value> {
        let select = Select { collection, condition: Condition::All(vec![]), sort: vec![], limit: 1000 };
        let documents = self.store().query(&select).await.expect("the documents");
        documents.iter().map(|document| serde_json::from_str(&document.body).expect("JSON")).collect()
    }

    /// Changes every document of a collection behind the application's back, as no release of it would.
    pub(crate) async fn change(&self, collection: &'static str, change: impl Fn(&mut Value)) {
        let select = Select { collection, condition: Condition::All(vec![]), sort: vec![], limit: 1000 };
        for document in self.store().query(&select).await.expect("the documents") {
            self.change_one(collection, &document.id, &change).await;
        }
    }

    /// Changes one document behind the application's back.
    pub(crate) async fn change_one(&self, collection: &'static str, id: &str, change: impl Fn(&mut Value)) {
        let document = self.store().load(collection, id).await.expect("it answers").expect("it is there");
        let mut body = serde_json::from_str(&document.body).expect("JSON");
        change(&mut body);
        let change = Change::Update { expected: document.version, body: body.to_string() };
        let writes = vec![Write { collection, id: id.to_owned(), change }];
        let batch = Batch { at: Clock::system().now(), writes, ..Batch::default() };
        self.store().commit(batch).await.expect("it is stored");
    }

    /// The events that left, oldest first.
    pub(crate) async fn events(&self) -> Vec<Told> {
        self.settled().await;
        self.journal.lock().expect("nobody panicked").clone()
    }

    /// The events that left about this subject, oldest first.
    pub(crate) async fn events_of(&self, subject: &str) -> Vec<Told> {
        self.events().await.into_iter().filter(|event| event.subject == subject).collect()
    }

    /// A guest's order, placed.
    pub(crate) async fn guest_order(&self) -> GuestOrder {
        let placed = self.post("/api/v1/orders").json(&guest_order()).send().await.assert_status(201);
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let placed = placed.json();
        GuestOrder { id: text(&placed["id"]), token: text(&placed["tracking_token"]) }
    }

    /// A customer's order, placed; its id.
    pub(crate) async fn order_of(&self, customer: &Person) -> String {
        let request = self.post("/api/v1/orders").bearer(&customer.token);
        let placed = request.json(&order_with_phone(customer.phone)).send().await.assert_status(201);
        placed.json()["id"].as_str().expect("an id").to_owned()
    }

    /// A request for a step of an order, with the body that the step needs.
    pub(crate) fn step(&self, order: &str, step: &str) -> TestRequest<'_> {
        let path = format!("/api/v1/orders/{order}/{step}");
        match step {
            "cancel" => self.post(&path).json(&json!({ "reason": "changed my mind" })),
            "driver" => self.put(&path).json(&json!({})),
            "payment" => self.put(&path).json(&json!({ "payment_method": "cash" })),
            _ => self.post(&path),
        }
    }

    /// The manager's step, which must succeed.
    pub(crate) async fn done(&self, order: &str, step: &str) -> Value {
        self.step(order, step).bearer(&self.people.manager.token).send().await.assert_status(200).json()
    }

    /// Brings an order from pending to this status, by the manager alone.
    pub(crate) async fn bring_to(&self, order: &str, status: &str) {
        if status == "cancelled" {
            self.done(order, "cancel").await;
            return;
        }
        const LIFE: [(&str, &str); 5] = [
            ("confirm", "confirmed"),
            ("cook", "cooking"),
            ("ready", "ready"),
            ("deliver", "delivering"),
            ("complete", "delivered"),
        ];
        let steps = LIFE.iter().position(|(_, leads_to)| *leads_to == status).map_or(0, |last| last + 1);
        for (step, _) in &LIFE[..steps] {
            self.done(order, step).await;
        }
    }

    /// The order as the manager sees it.
    pub(crate) async fn order(&self, order: &str) -> TestResponse {
        let path = format!("/api/v1/orders/{order}");
        self.get(&path).bearer(&self.people.manager.token).send().await.assert_status(200)
    }

    /// What this person gets at this path, which must be there.
    pub(crate) async fn read(&self, person: &Person, path: &str) -> Value {
        self.get(path).bearer(&person.token).send().await.assert_status(200).json()
    }
}

/// What a guest needs to follow an order.
pub(crate) struct GuestOrder {
    pub(crate) id: String,
    pub(crate) token: String,
}

/// The order of a guest as the documentation shows it.
pub(crate) fn guest_order() -> Value {
    json!({
        "customer": {
            "name": "Ada", "phone": "+1 555 0100", "email": "ada@example.com", "address": "1 Main St"
        },
        "lines": [{"pizza_id": "margherita", "size": "medium", "toppings": ["olives"], "quantity": 2}],
        "payment_method": "cash",
        "notes": "ring twice"
    })
}

/// The same order with another telephone number, which is another customer.
pub(crate) fn order_with_phone(phone: &str) -> Value {
    let mut order = guest_order();
    order["customer"]["phone"] = json!(phone);
    order
}

/// The ids of a list's items.
pub(crate) fn ids(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().expect("a list");
    items.iter().map(|item| item["id"].as_str().expect("an id")).collect()
}

/// Waits for a condition, which must come true.
pub(crate) async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let look = async {
        let mut pulse = tokio::time::interval(Duration::from_millis(5));
        while !holds().await {
            pulse.tick().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, look).await.is_ok(), "never: {what}");
}
