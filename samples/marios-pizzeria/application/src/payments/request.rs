//! What happens to an order asks for what is to happen to its payment.

use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::EventHandler;
use neuroglia::work::Jobs;
use pizzeria_domain::order::{OrderCancelled, OrderCreated, OrderDelivered, Payment, PaymentStatus};

use super::{AuthorisePayment, CapturePayment, GiveBackPayment};

/// Asks for the payment's jobs in the unit of work of the order's change: one is there if and only if the other is.
#[derive(Inject)]
pub struct RequestPayment {
    jobs: Jobs,
}

impl EventHandler<OrderCreated> for RequestPayment {
    async fn handle(&self, event: &OrderCreated) -> Result<()> {
        if event.payment_method.is_card() {
            let attempt = Payment::FIRST_ATTEMPT;
            self.jobs.enqueue(&AuthorisePayment { order: event.order_id, attempt })?;
        }
        Ok(())
    }
}

impl EventHandler<OrderDelivered> for RequestPayment {
    async fn handle(&self, event: &OrderDelivered) -> Result<()> {
        if event.payment_status == PaymentStatus::Authorized {
            self.jobs.enqueue(&CapturePayment { order: event.order_id })?;
        }
        Ok(())
    }
}

impl EventHandler<OrderCancelled> for RequestPayment {
    async fn handle(&self, event: &OrderCancelled) -> Result<()> {
        use PaymentStatus::{Authorized, Authorizing, Captured};
        if matches!(event.payment_status, Authorizing | Authorized | Captured) {
            self.jobs.enqueue(&GiveBackPayment::of(event.order_id))?;
        }
        Ok(())
    }
}
