//! Show the menu.

use neuroglia::data::{Cursor, Field, Page, Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::{Query, QueryHandler};
use pizzeria_domain::menu::Pizza;

use super::PizzaDto;

const NAME: Field<Pizza, String> = Field::new(Pizza::NAME_PATH);

/// Show the menu, by name.
pub struct ListMenu {
    /// Where to go on.
    pub cursor: Option<Cursor>,
    /// How many.
    pub limit: u32,
}

impl Query for ListMenu {
    type Response = Page<PizzaDto>;
    type Handler = ListMenuHandler;
}

/// Handles [`ListMenu`].
#[derive(Inject)]
pub struct ListMenuHandler {
    pizzas: Repository<Pizza>,
}

impl QueryHandler<ListMenu> for ListMenuHandler {
    async fn handle(&self, query: ListMenu) -> Result<Page<PizzaDto>> {
        let page =
            self.pizzas.find(Find::all().ascending(NAME).after(query.cursor).limit(query.limit)).await?;
        let items = page.items.iter().map(PizzaDto::of).collect::<Result<_>>()?;
        Ok(Page { items, next: page.next })
    }
}
