//! The floor of the measurements: the same work in raw axum, with nothing that an application needs beside it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize)]
struct Pizza {
    id: String,
    name: String,
    price_cents: u64,
}

#[derive(Deserialize)]
struct PlaceOrder {
    customer: String,
    lines: Vec<PlaceLine>,
}

#[derive(Deserialize)]
struct PlaceLine {
    pizza_id: String,
    quantity: u32,
}

#[derive(Clone, Serialize)]
struct Order {
    id: u64,
    customer: String,
    total_cents: u64,
    lines: Vec<Line>,
}

#[derive(Clone, Serialize)]
struct Line {
    pizza_id: String,
    quantity: u32,
    price_cents: u64,
}

struct Shop {
    pizzas: HashMap<String, Arc<Pizza>>,
    orders: Mutex<Vec<Order>>,
}

async fn show(State(shop): State<Arc<Shop>>, Path(id): Path<String>) -> Result<Json<Arc<Pizza>>, StatusCode> {
    shop.pizzas.get(&id).map(|pizza| Json(Arc::clone(pizza))).ok_or(StatusCode::NOT_FOUND)
}

async fn place(
    State(shop): State<Arc<Shop>>,
    Json(body): Json<PlaceOrder>,
) -> Result<(StatusCode, Json<Order>), StatusCode> {
    let mut lines = Vec::with_capacity(body.lines.len());
    let mut total_cents = 0;
    for line in body.lines {
        let pizza = shop.pizzas.get(&line.pizza_id).ok_or(StatusCode::UNPROCESSABLE_ENTITY)?;
        let price_cents = pizza.price_cents * u64::from(line.quantity);
        total_cents += price_cents;
        lines.push(Line { pizza_id: line.pizza_id, quantity: line.quantity, price_cents });
    }
    let mut orders = shop.orders.lock().unwrap_or_else(PoisonError::into_inner);
    let order = Order { id: orders.len() as u64, customer: body.customer, total_cents, lines };
    orders.push(order.clone());
    drop(orders);
    Ok((StatusCode::CREATED, Json(order)))
}

#[derive(Deserialize)]
struct Slow {
    ms: u64,
}

async fn slow(Query(slow): Query<Slow>) -> &'static str {
    tokio::time::sleep(Duration::from_millis(slow.ms)).await;
    "done"
}

async fn log(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    tracing::info!(
        http.method = %method,
        http.route = route.as_ref().map_or("", MatchedPath::as_str),
        http.status = response.status().as_u16(),
        duration_ms = began.elapsed().as_secs_f64() * 1e3,
        "request completed"
    );
    response
}

#[expect(clippy::disallowed_methods, reason = "a raw program reads its environment where it likes")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let pizzas = (0..1000).map(|number| {
        let id = format!("p{number}");
        let pizza = Pizza { id: id.clone(), name: format!("Pizza {number}"), price_cents: 999 + number };
        (id, Arc::new(pizza))
    });
    let shop = Arc::new(Shop { pizzas: pizzas.collect(), orders: Mutex::default() });
    let mut router = Router::new()
        .route("/health", get(|| async { "ok" }))
        .route("/pizzas/{id}", get(show))
        .route("/orders", post(place))
        .route("/slow", get(slow))
        .with_state(shop);
    if variable("LOG").as_deref() == Some("on") {
        tracing_subscriber::fmt().json().with_writer(io::stdout).init();
        router = router.layer(middleware::from_fn(log));
    }
    let port = variable("PORT").and_then(|port| port.parse().ok()).unwrap_or(8000);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(listener, router).await
}
