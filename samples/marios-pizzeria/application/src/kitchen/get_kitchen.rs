//! Show how busy the kitchen is.

use std::sync::Arc;

use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::{Query, QueryHandler};
use pizzeria_domain::kitchen::Kitchen;
use schemars::JsonSchema;
use serde::Serialize;

use crate::house::House;
use crate::wire::Uuid;

/// Show how busy the kitchen is.
pub struct GetKitchen {}

/// How busy the kitchen is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct KitchenDto {
    /// How many orders it can cook at once.
    pub capacity: u32,
    /// How many it cooks.
    pub in_use: usize,
    /// Which, in the order in which they started.
    #[schemars(with = "Vec<Uuid>")]
    pub cooking: Vec<String>,
}

impl Query for GetKitchen {
    type Response = KitchenDto;
    type Handler = GetKitchenHandler;
}

/// Handles [`GetKitchen`].
#[derive(Inject)]
pub struct GetKitchenHandler {
    kitchens: Repository<Kitchen>,
    house: Arc<House>,
}

impl QueryHandler<GetKitchen> for GetKitchenHandler {
    async fn handle(&self, _: GetKitchen) -> Result<KitchenDto> {
        let kitchen = self.kitchens.get(&Kitchen::ID).await?.unwrap_or_default();
        Ok(KitchenDto {
            capacity: self.house.kitchen_capacity.get(),
            in_use: kitchen.in_use(),
            cooking: kitchen.cooking().iter().map(ToString::to_string).collect(),
        })
    }
}
