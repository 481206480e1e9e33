//! Show one pizza.

use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::error::{Error, Result};
use neuroglia::mediation::{Query, QueryHandler};
use pizzeria_domain::menu::{Pizza, PizzaId};

use super::PizzaDto;

/// Show one pizza.
pub struct GetPizza {
    /// Its id.
    pub id: PizzaId,
}

impl Query for GetPizza {
    type Response = PizzaDto;
    type Handler = GetPizzaHandler;
}

/// Handles [`GetPizza`].
#[derive(Inject)]
pub struct GetPizzaHandler {
    pizzas: Repository<Pizza>,
}

impl QueryHandler<GetPizza> for GetPizzaHandler {
    async fn handle(&self, query: GetPizza) -> Result<PizzaDto> {
        let pizza = self.pizzas.get(&query.id).await?.ok_or_else(|| Error::not_found("pizza", query.id))?;
        PizzaDto::of(&pizza)
    }
}
