//! Show which pizzas are sold.

use std::sync::Arc;

use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::{Query, QueryHandler};
use pizzeria_domain::menu::Pizza;
use schemars::JsonSchema;
use serde::Serialize;

use super::figures::money;
use super::ledger::Ledger;
use crate::house::House;
use crate::money::MoneyDto;

/// Show which pizzas were sold, that is delivered.
pub struct GetPizzaSales {}

/// Which pizzas were sold.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PizzaSalesDto {
    /// The pizzas, what sells best first.
    pub items: Vec<PizzaSaleDto>,
}

/// How often a pizza was sold.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PizzaSaleDto {
    /// The pizza.
    pub pizza_id: String,
    /// What it is called; null when it is off the menu.
    pub name: Option<String>,
    /// How many.
    pub sold: u64,
    /// What they brought in, in the currency of the menu.
    pub revenue: MoneyDto,
}

impl Query for GetPizzaSales {
    type Response = PizzaSalesDto;
    type Handler = GetPizzaSalesHandler;
}

/// Handles [`GetPizzaSales`].
#[derive(Inject)]
pub struct GetPizzaSalesHandler {
    ledger: Ledger,
    pizzas: Repository<Pizza>,
    house: Arc<House>,
}

impl QueryHandler<GetPizzaSales> for GetPizzaSalesHandler {
    async fn handle(&self, _: GetPizzaSales) -> Result<PizzaSalesDto> {
        let totals = self.ledger.totals().await?;
        let currency = self.house.currency;
        let sales = totals.sales.get(currency.as_str());
        let mut items = Vec::new();
        for (pizza_id, _) in totals.sold.iter() {
            let pizza = match pizza_id.parse() {
                Ok(id) => self.pizzas.get(&id).await?,
                Err(_) => None,
            };
            let revenue = sales.map_or(0, |sales| sales.get(pizza_id));
            items.push(PizzaSaleDto {
                pizza_id: pizza_id.to_owned(),
                name: pizza.map(|pizza| pizza.name().to_string()),
                sold: totals.sold.count(pizza_id),
                revenue: money(revenue, currency)?.into(),
            });
        }
        items.sort_by_key(|item| std::cmp::Reverse(item.sold));
        Ok(PizzaSalesDto { items })
    }
}
