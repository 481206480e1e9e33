//! What a database holds, read behind the application's back.

use std::collections::{BTreeMap, BTreeSet};

use neuroglia_backing::sqlite::sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use neuroglia_backing::sqlite::sqlx::{self, ConnectOptions as _, Connection as _};
use serde_json::Value;

use super::Premises;

/// Everything that matters, as of one moment.
pub(crate) struct Ledger {
    integrity: Vec<String>,
    /// Orders by id.
    orders: BTreeMap<String, Value>,
    customers: BTreeMap<String, Value>,
    /// Subject and name of every event by its id: in the outbox still, or delivered to a consumer of orders.
    events: BTreeMap<String, (String, String)>,
    /// Which consumer has which event.
    deliveries: Vec<(String, String)>,
    /// How many events have yet to leave.
    leaving: i64,
}

impl Ledger {
    /// Reads the database of these premises.
    pub(crate) fn read(premises: &Premises) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let options = SqliteConnectOptions::new().filename(premises.path("pizzeria.db"));
            let mut connection = options.connect().await.expect("the database opens");
            let integrity = sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&mut connection).await;
            let ledger = Self {
                integrity: integrity.expect("the check runs"),
                orders: documents(&mut connection, "SELECT id, body FROM orders").await,
                customers: documents(&mut connection, "SELECT id, body FROM customers").await,
                events: events(&mut connection).await,
                deliveries: deliveries(&mut connection).await,
                leaving: leaving(&mut connection).await,
            };
            connection.close().await.expect("it closes");
            ledger
        })
    }

    /// Checks that nothing is half there: each order has its event and its customer.
    #[track_caller]
    pub(crate) fn assert_sound(&self) {
        assert_eq!(self.integrity, ["ok"]);
        let created = self.subjects("order.created");
        let orders: Vec<&str> = self.orders.keys().map(String::as_str).collect();
        assert_eq!(created, orders, "one event for each order, and none for no order");
        for (id, order) in &self.orders {
            let customer = order["customer_id"].as_str().unwrap_or_default();
            assert!(self.customers.contains_key(customer), "the order {id} has no customer");
        }
        let notes: BTreeSet<String> = self.notes().collect();
        assert_eq!(notes.len(), self.orders.len(), "each order once");
    }

    /// The notes of each order, by which a test knows it.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> {
        self.orders.values().map(|order| order["notes"].as_str().unwrap_or_default().to_owned())
    }

    /// Which consumer has which event, once every event has left.
    pub(crate) fn deliveries(self) -> Option<Vec<(String, String)>> {
        (self.leaving == 0).then_some(self.deliveries)
    }

    /// The order with these notes.
    pub(crate) fn id_of(&self, notes: &str) -> Option<&str> {
        self.orders.iter().find(|(_, order)| order["notes"] == notes).map(|(id, _)| id.as_str())
    }

    fn subjects(&self, name: &str) -> Vec<&str> {
        let named = self.events.values().filter(|(_, known)| known == name);
        let mut subjects: Vec<_> = named.map(|(subject, _)| subject.as_str()).collect();
        subjects.sort_unstable();
        subjects
    }
}

async fn events(connection: &mut SqliteConnection) -> BTreeMap<String, (String, String)> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT key, payload ->> '$.subject', \
             replace(replace(payload ->> '$.type', 'io.marios-pizzeria.', ''), '.v1', '') \
         FROM ng_work WHERE kind = 'statistics' \
         UNION SELECT id, subject, name FROM ng_outbox",
    )
    .fetch_all(connection)
    .await
    .expect("the tables are there");
    rows.into_iter().map(|(id, subject, name)| (id, (subject, name))).collect()
}

async fn deliveries(connection: &mut SqliteConnection) -> Vec<(String, String)> {
    let rows = sqlx::query_as("SELECT kind, key FROM ng_work WHERE class = 'delivery' ORDER BY kind, key");
    rows.fetch_all(connection).await.expect("the table is there")
}

async fn leaving(connection: &mut SqliteConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM ng_outbox")
        .fetch_one(connection)
        .await
        .expect("the table is there")
}

async fn documents(connection: &mut SqliteConnection, query: &'static str) -> BTreeMap<String, Value> {
    let rows: Vec<(String, String)> =
        sqlx::query_as(query).fetch_all(connection).await.expect("the table is there");
    rows.into_iter()
        .map(|(id, body)| (id, serde_json::from_str(&body).expect("documents are JSON")))
        .collect()
}
