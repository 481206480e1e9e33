//! The one place in which an order learns what the gateway says of its payment.

use neuroglia::clock::Clock;
use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::domain::Aggregate;
use neuroglia::error::Result;
use neuroglia::work::Jobs;
use pizzeria_domain::order::{Order, OrderId, OrderStatus, PaymentStatus};
use pizzeria_domain::stamp::Stamp;

use super::GiveBackPayment;

/// How often a payment's jobs are tried: with pauses of a quarter of a minute on average, for eight hours of a
/// gateway's outage.
pub(super) const ATTEMPTS_MAX: u32 = 2_000;

/// The queue of the payments' jobs: a gateway that is slow holds up nothing else.
pub(super) const QUEUE: &str = "payments";

/// Whether the gateway has the customer's money, or a hold on it.
pub(super) fn is_held(status: PaymentStatus) -> bool {
    matches!(status, PaymentStatus::Authorized | PaymentStatus::Captured)
}

/// Writes down what the gateway says.
#[derive(Inject)]
pub(super) struct Till {
    orders: Repository<Order>,
    jobs: Jobs,
    clock: Clock,
}

impl Till {
    /// The order, if there is one.
    pub(super) async fn order(&self, id: OrderId) -> Result<Option<Order>> {
        self.orders.get(&id).await
    }

    /// Writes down how far an order's payment has come; `payment` is the gateway's id of it. What is old news changes
    /// nothing. An order that waited for it is confirmed; of a cancelled one the money is given back.
    pub(super) fn note(
        &self,
        order: &mut Order,
        status: PaymentStatus,
        payment: Option<String>,
    ) -> Result<()> {
        if order.status() == OrderStatus::Cancelled && is_held(status) {
            self.jobs.enqueue(&GiveBackPayment::of(*order.id()))?;
        }
        let known = order.payment();
        // The answer that names it may come after the webhook that did not.
        let is_first_named = payment.is_some() && known.reference().is_none() && known.status() == status;
        if !known.status().may_become(status) && !is_first_named {
            return Ok(());
        }
        let stamp = Stamp::anonymous(self.clock.now());
        order.record_payment(status, payment, stamp.clone())?;
        if order.status() == OrderStatus::Pending && is_held(status) {
            order.confirm(stamp)?;
        }
        self.orders.save(order)
    }
}
