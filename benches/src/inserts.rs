//! The floor of an order that is stored: raw axum and sqlx, which insert the order and its event in one transaction.
//!
//! `DATABASE_URL` names a PostgreSQL database, `PORT` where to listen.

use std::net::Ipv4Addr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

#[derive(Deserialize, Serialize)]
struct PlaceOrder {
    customer: Customer,
    lines: Vec<Line>,
    payment_method: String,
    notes: String,
}

#[derive(Deserialize, Serialize)]
struct Customer {
    name: String,
    phone: String,
    email: String,
    address: String,
}

#[derive(Deserialize, Serialize)]
struct Line {
    pizza_id: String,
    size: String,
    toppings: Vec<String>,
    quantity: u32,
}

#[derive(Serialize)]
struct Order {
    id: Uuid,
    status: &'static str,
    total_cents: u32,
    #[serde(flatten)]
    placed: PlaceOrder,
}

#[derive(Serialize)]
struct OrderCreated<'a> {
    order_id: Uuid,
    total_cents: u32,
    customer: &'a Customer,
}

#[expect(clippy::disallowed_methods, reason = "the floor has no source of ids")]
async fn place(
    State(pool): State<PgPool>,
    Json(placed): Json<PlaceOrder>,
) -> Result<(StatusCode, Json<Order>), StatusCode> {
    let total_cents = placed.lines.iter().map(|line| line.quantity * 1_099).sum();
    let order = Order { id: Uuid::now_v7(), status: "pending", total_cents, placed };
    store(&pool, &order).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok((StatusCode::CREATED, Json(order)))
}

#[expect(clippy::disallowed_methods, reason = "the floor has no source of ids")]
async fn store(pool: &PgPool, order: &Order) -> sqlx::Result<()> {
    let event =
        OrderCreated { order_id: order.id, total_cents: order.total_cents, customer: &order.placed.customer };
    let mut transaction = pool.begin().await?;
    sqlx::query("INSERT INTO orders (id, created_at, body) VALUES ($1, now(), $2)")
        .bind(order.id)
        .bind(sqlx::types::Json(order))
        .execute(&mut *transaction)
        .await?;
    sqlx::query(
        "INSERT INTO outbox (id, name, subject, data, at) VALUES ($1, 'order.created', $2, $3, now())",
    )
    .bind(Uuid::now_v7())
    .bind(order.id)
    .bind(sqlx::types::Json(event))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await
}

const SCHEMA: &str =
    "CREATE TABLE orders (id uuid PRIMARY KEY, created_at timestamptz NOT NULL, body jsonb NOT NULL);
    CREATE TABLE outbox (id uuid PRIMARY KEY, name text NOT NULL, subject uuid NOT NULL, data jsonb NOT NULL,
        at timestamptz NOT NULL)";

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "the floor has no host that reads its settings")]
async fn main() {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let pool = PgPoolOptions::new().max_connections(10).connect(&variable("DATABASE_URL")).await;
    let pool = pool.expect("the database answers");
    sqlx::raw_sql(SCHEMA).execute(&pool).await.expect("an empty database");
    let port = variable("PORT").parse().expect("a port");
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("a free port");
    let router =
        Router::new().route("/orders", post(place)).route("/health", get(|| async { "ok" })).with_state(pool);
    axum::serve(listener, router).await.expect("it serves until it is ended");
}
