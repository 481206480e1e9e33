//! Show the menu.

use std::time::Duration;

use neuroglia::cache::Cache;
use neuroglia::data::{Cursor, Field, Page, Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::{Query, QueryHandler};
use pizzeria_domain::menu::{MenuEdition, Pizza};

use super::PizzaDto;

const NAME: Field<Pizza, String> = Field::new(Pizza::NAME_PATH);

/// How long a page of the menu is kept at most: what changed it without a new edition, such as a release from before there
/// were any, is hidden no longer.
const KEPT_MAX: Duration = Duration::from_secs(60);

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

/// Handles [`ListMenu`]: one small record is read from the store, and the menu itself from the cache, by the name of
/// the edition that holds. The record is read first, so that what is kept under a name is never older than it.
#[derive(Inject)]
pub struct ListMenuHandler {
    pizzas: Repository<Pizza>,
    editions: Repository<MenuEdition>,
    cache: Cache,
}

impl QueryHandler<ListMenu> for ListMenuHandler {
    async fn handle(&self, query: ListMenu) -> Result<Page<PizzaDto>> {
        let Some(edition) = self.editions.get(&MenuEdition::ID).await? else {
            return self.look_up(query).await;
        };
        let after = query.cursor.as_ref().map(ToString::to_string).unwrap_or_default();
        let key = format!("{}:{}:{after}", edition.name(), query.limit);
        self.cache.namespace("menu").get_or_compute(&key, KEPT_MAX, || self.look_up(query)).await
    }
}

impl ListMenuHandler {
    async fn look_up(&self, query: ListMenu) -> Result<Page<PizzaDto>> {
        let page =
            self.pizzas.find(Find::all().ascending(NAME).after(query.cursor).limit(query.limit)).await?;
        let items = page.items.iter().map(PizzaDto::of).collect::<Result<_>>()?;
        Ok(Page { items, next: page.next })
    }
}
