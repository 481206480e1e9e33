//! The same work as `floor`, through controller, scope, mediator and handler.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use neuroglia::App;
use neuroglia::di::{Inject, ServiceCollection};
use neuroglia::error::{Error, Result};
use neuroglia::mediation::{Command, CommandHandler, Mediator, Messages, Query, QueryHandler};
use neuroglia::settings::Environment;
use neuroglia::web::{self, Created, Json, Path, Web, controller};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize)]
struct Pizza {
    id: String,
    name: String,
    price_cents: u64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Order {
    id: u64,
    customer: String,
    total_cents: u64,
    lines: Vec<Line>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Line {
    pizza_id: String,
    quantity: u32,
    price_cents: u64,
}

trait Shop: Send + Sync {
    fn pizza(&self, id: &str) -> Option<Arc<Pizza>>;
    fn keep(&self, customer: String, total_cents: u64, lines: Vec<Line>) -> Order;
}

struct InMemoryShop {
    pizzas: HashMap<String, Arc<Pizza>>,
    orders: Mutex<Vec<Order>>,
}

impl Shop for InMemoryShop {
    fn pizza(&self, id: &str) -> Option<Arc<Pizza>> {
        self.pizzas.get(id).cloned()
    }

    fn keep(&self, customer: String, total_cents: u64, lines: Vec<Line>) -> Order {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let order = Order { id: orders.len() as u64, customer, total_cents, lines };
        orders.push(order.clone());
        order
    }
}

struct GetPizza {
    id: String,
}

impl Query for GetPizza {
    type Response = Arc<Pizza>;
    type Handler = GetPizzaHandler;
}

#[derive(Inject)]
struct GetPizzaHandler {
    shop: Arc<dyn Shop>,
}

impl QueryHandler<GetPizza> for GetPizzaHandler {
    async fn handle(&self, query: GetPizza) -> Result<Arc<Pizza>> {
        self.shop.pizza(&query.id).ok_or_else(|| Error::not_found("pizza", query.id))
    }
}

#[derive(Clone, Deserialize)]
struct PlaceOrder {
    customer: String,
    lines: Vec<PlaceLine>,
}

#[derive(Clone, Deserialize)]
struct PlaceLine {
    pizza_id: String,
    quantity: u32,
}

impl Command for PlaceOrder {
    type Response = Order;
    type Handler = PlaceOrderHandler;
}

#[derive(Inject)]
struct PlaceOrderHandler {
    shop: Arc<dyn Shop>,
}

impl CommandHandler<PlaceOrder> for PlaceOrderHandler {
    async fn handle(&self, command: PlaceOrder) -> Result<Order> {
        let mut lines = Vec::with_capacity(command.lines.len());
        let mut total_cents = 0;
        for line in command.lines {
            let pizza = self
                .shop
                .pizza(&line.pizza_id)
                .ok_or_else(|| Error::invalid("order.unknown_pizza", "the menu has no such pizza"))?;
            let price_cents = pizza.price_cents * u64::from(line.quantity);
            total_cents += price_cents;
            lines.push(Line { pizza_id: line.pizza_id, quantity: line.quantity, price_cents });
        }
        Ok(self.shop.keep(command.customer, total_cents, lines))
    }
}

#[derive(Inject)]
struct ShopController {
    mediator: Mediator,
}

#[derive(Deserialize)]
struct Slow {
    ms: u64,
}

#[controller("/")]
impl ShopController {
    /// Show a pizza.
    #[get("/pizzas/{id}", public)]
    async fn show(&self, Path(id): Path<String>) -> Result<Json<Arc<Pizza>>> {
        Ok(Json(self.mediator.send(GetPizza { id }).await?))
    }

    /// Place an order.
    #[post("/orders", public)]
    async fn place(&self, Json(body): Json<PlaceOrder>) -> Result<Created<Json<Order>>> {
        let order = self.mediator.send(body).await?;
        Ok(Created { location: format!("/orders/{}", order.id), body: Json(order) })
    }

    /// Take some time.
    #[get("/slow", public)]
    async fn slow(&self, web::Query(slow): web::Query<Slow>) -> Result<Json<&'static str>> {
        tokio::time::sleep(Duration::from_millis(slow.ms)).await;
        Ok(Json("done"))
    }
}

fn app() -> App {
    App::new("ours")
        .services(|services: &mut ServiceCollection, ()| {
            let pizzas = (0..1000).map(|number| {
                let id = format!("p{number}");
                let pizza =
                    Pizza { id: id.clone(), name: format!("Pizza {number}"), price_cents: 999 + number };
                (id, Arc::new(pizza))
            });
            let shop = InMemoryShop { pizzas: pizzas.collect(), orders: Mutex::default() };
            services.add(neuroglia::di::Service::shared::<dyn Shop>(Arc::new(shop)));
        })
        .messages(|messages: Messages| messages.query::<GetPizza>().command::<PlaceOrder>())
        .web(|web: Web| web.controller::<ShopController>())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the measurement's own variables are translated to the framework's"
)]
fn main() -> ExitCode {
    let level = if std::env::var("LOG").as_deref() == Ok("on") { "info" } else { "off" };
    let port = std::env::var("PORT").unwrap_or_else(|_| "8000".to_owned());
    let environment = Environment::from_pairs([
        ("PORT", port.as_str()),
        ("SERVER_HOST", "127.0.0.1"),
        ("LOG_LEVEL", level),
        ("LOG_FORMAT", "json"),
    ]);
    app().run_as(["ours", "web"], environment)
}
