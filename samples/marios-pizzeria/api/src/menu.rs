//! The menu.

use neuroglia::data::Page;
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::Mediator;
use neuroglia::web::{Created, IfMatch, Json, NoContent, Path, Query, Tagged, controller};
use pizzeria_application::menu::{
    AddPizza, ChangePizza, GetPizza, ListMenu, PizzaDto, RemovePizza, WritePizza,
};
use pizzeria_domain::menu::PizzaId;

use crate::paging::Paging;

#[derive(Inject)]
pub(crate) struct MenuController {
    mediator: Mediator,
}

#[controller("/api/v1/pizzas")]
impl MenuController {
    /// Show the menu, with the price of each size.
    #[get("/", public)]
    async fn list(&self, Query(paging): Query<Paging>) -> Result<Page<PizzaDto>> {
        self.mediator.send(ListMenu { cursor: paging.cursor()?, limit: paging.limit()? }).await
    }

    /// Show one pizza.
    #[get("/{id}", public)]
    async fn show(&self, Path(id): Path<PizzaId>) -> Result<Tagged<Json<PizzaDto>>> {
        Ok(tagged(self.mediator.send(GetPizza { id }).await?))
    }

    /// Put a pizza on the menu.
    #[post("/", roles("manager"))]
    async fn add(&self, Json(pizza): Json<WritePizza>) -> Result<Created<Tagged<Json<PizzaDto>>>> {
        let pizza = self.mediator.send(AddPizza { pizza }).await?;
        Ok(Created { location: format!("/api/v1/pizzas/{}", pizza.id), body: tagged(pizza) })
    }

    /// Change what the menu says of a pizza.
    #[put("/{id}", roles("manager"))]
    async fn change(
        &self,
        Path(id): Path<PizzaId>,
        IfMatch(expected_version): IfMatch,
        Json(pizza): Json<WritePizza>,
    ) -> Result<Tagged<Json<PizzaDto>>> {
        Ok(tagged(self.mediator.send(ChangePizza { id, pizza, expected_version }).await?))
    }

    /// Take a pizza off the menu.
    #[delete("/{id}", roles("manager"))]
    async fn remove(&self, Path(id): Path<PizzaId>, IfMatch(expected_version): IfMatch) -> Result<NoContent> {
        self.mediator.send(RemovePizza { id, expected_version }).await?;
        Ok(NoContent)
    }
}

fn tagged(pizza: PizzaDto) -> Tagged<Json<PizzaDto>> {
    Tagged::new(pizza.version, Json(pizza))
}
