//! Show how long orders take.

use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::{Query, QueryHandler};
use schemars::JsonSchema;
use serde::Serialize;

use super::figures::STRETCHES;
use super::ledger::Ledger;

/// Show how long orders take on each stretch of their way.
pub struct GetKitchenTimes {}

/// How long orders take.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct KitchenTimesDto {
    /// The stretches of an order's way, in order.
    pub items: Vec<KitchenTimeDto>,
}

/// How long orders take on a stretch of their way.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct KitchenTimeDto {
    /// Which: waiting for a place, cooking, collecting (waiting for the driver) or delivering.
    pub stretch: String,
    /// How many orders have it behind them.
    pub orders: u64,
    /// How long it took on average, in milliseconds; null when no order has it behind it.
    pub average_ms: Option<u64>,
}

impl Query for GetKitchenTimes {
    type Response = KitchenTimesDto;
    type Handler = GetKitchenTimesHandler;
}

/// Handles [`GetKitchenTimes`].
#[derive(Inject)]
pub struct GetKitchenTimesHandler {
    ledger: Ledger,
}

impl QueryHandler<GetKitchenTimes> for GetKitchenTimesHandler {
    async fn handle(&self, _: GetKitchenTimes) -> Result<KitchenTimesDto> {
        let totals = self.ledger.totals().await?;
        let items = STRETCHES.map(|(stretch, ..)| {
            let orders = totals.stretches.count(stretch);
            let average_ms = totals.stretches_ms.count(stretch).checked_div(orders);
            KitchenTimeDto { stretch: stretch.to_owned(), orders, average_ms }
        });
        Ok(KitchenTimesDto { items: items.into() })
    }
}
