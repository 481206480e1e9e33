//! What becomes of orders, in the log.

use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::{Behaviour, Call, Next};

use super::{AdvanceOrder, CancelOrder, OrderDto, PlaceOrder, PlacedOrderDto};

/// Writes into the log that an order was placed, or has taken a step, once that is certain.
///
/// It stands around the commit and whatever runs a handler again, and inside of what answers a repeated request by the
/// answer that was kept: a handler would speak too early, and a controller too often.
#[derive(Inject)]
pub struct LogOrders {}

impl Behaviour for LogOrders {
    fn concerns(call: &Call<'_>) -> bool {
        call.message::<PlaceOrder>().is_some()
            || call.message::<AdvanceOrder>().is_some()
            || call.message::<CancelOrder>().is_some()
    }

    async fn handle(&self, call: &mut Call<'_>, next: Next<'_>) -> Result<()> {
        next.run(call).await?;
        if let Some(PlacedOrderDto { order, .. }) = call.response() {
            tracing::info!(
                order.id = %order.id,
                order.pizzas = order.lines.iter().map(|line| line.quantity).sum::<u32>(),
                order.total = %order.total.amount,
                order.currency = %order.total.currency,
                customer.id = %order.customer.id,
                "order placed"
            );
        } else if let Some(order) = call.response::<OrderDto>() {
            tracing::info!(order.id = %order.id, "order {}", order.status);
        }
        Ok(())
    }
}
