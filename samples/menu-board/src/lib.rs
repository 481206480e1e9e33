//! The board above the counter: tonight's menu, as the pizzeria's own service tells it.
//!
//! It keeps nothing. The pizzeria is an attached resource that `PIZZERIA_URL` names, and is called through one client
//! with time-outs, safe repetitions and a breaker; while it is away the board says so with 503, and is well again
//! without a restart. Settings, health, metrics, logs, limits and the end of the process are the framework's.

use std::fmt::Write as _;
use std::sync::Arc;

use neuroglia::App;
use neuroglia::di::{Inject, ServiceCollection};
use neuroglia::error::Result;
use neuroglia::identity::Correlation;
use neuroglia::settings::Settings;
use neuroglia::web::axum::response::Html;
use neuroglia::web::controller;
use neuroglia_backing::http::{ServiceClient, ServiceOptions};
use serde::Deserialize;
use url::Url;

/// What the board is told about where it runs.
#[derive(Settings)]
pub struct BoardSettings {
    /// The pizzeria whose menu is shown.
    #[setting(example = "http://127.0.0.1:8000", check = neuroglia_backing::service::check_url)]
    pub pizzeria_url: Url,
}

/// The whole board.
pub fn app() -> App<BoardSettings> {
    App::new("menu-board")
        .version(env!("CARGO_PKG_VERSION"))
        .services(services)
        .web(|web| web.controller::<BoardController>())
}

fn services(services: &mut ServiceCollection, settings: &BoardSettings) {
    ServiceClient::register(services, ServiceOptions::new("pizzeria", settings.pizzeria_url.clone()));
}

/// The menu as the pizzeria tells it, as far as the board shows it.
#[derive(Deserialize)]
struct Menu {
    items: Vec<Pizza>,
}

#[derive(Deserialize)]
struct Pizza {
    name: String,
    available: bool,
    prices: Prices,
}

#[derive(Deserialize)]
struct Prices {
    small: Money,
    medium: Money,
    large: Money,
}

#[derive(Deserialize)]
struct Money {
    amount: String,
    currency: String,
}

#[derive(Inject)]
struct BoardController {
    pizzeria: Arc<ServiceClient>,
    correlation: Arc<Correlation>,
}

#[controller("/menu")]
impl BoardController {
    /// Show tonight's menu.
    #[get("/", public)]
    async fn show(&self) -> Result<Html<String>> {
        let call = self.pizzeria.get(["api", "v1", "pizzas"]).query("limit", "100");
        let menu: Menu = call.within(&self.correlation).send().await?.json()?;
        Ok(Html(page(&menu)))
    }
}

fn page(menu: &Menu) -> String {
    let mut page = String::from("<!doctype html><title>Menu</title><h1>Tonight</h1><table>\n");
    for Pizza { name, prices: Prices { small, medium, large }, .. } in
        menu.items.iter().filter(|pizza| pizza.available)
    {
        let row = [&small.amount, &medium.amount, &large.amount].map(|amount| escaped(amount)).join("<td>");
        let (name, currency) = (escaped(name), escaped(&small.currency));
        writeln!(page, "<tr><th>{name}<td>{row}<td>{currency}").expect("writing to a string does not fail");
    }
    page.push_str("</table>\n");
    page
}

/// The text as HTML: it is somebody else's.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
