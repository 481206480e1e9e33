//! Have the gateway give back what it has of a cancelled order.

use neuroglia::di::Inject;
use neuroglia::error::{Error, Result};
use neuroglia::work::{Job, JobHandler};
use pizzeria_domain::order::{OrderId, OrderStatus, PaymentStatus};
use serde::{Deserialize, Serialize};

use super::gateway::Attached;
use super::till::{ATTEMPTS_MAX, QUEUE, Till, is_held};

/// Have the gateway give back whatever it has of a cancelled order.
#[derive(Debug, Serialize, Deserialize)]
pub struct GiveBackPayment {
    /// Which order.
    pub order: OrderId,
}

impl Job for GiveBackPayment {
    const KIND: &'static str = "payment.give_back";
    const QUEUE: &'static str = QUEUE;
    const ATTEMPTS_MAX: u32 = ATTEMPTS_MAX;
    type Output = ();
    type Handler = GiveBackPaymentHandler;
}

/// Handles [`GiveBackPayment`].
#[derive(Inject)]
pub struct GiveBackPaymentHandler {
    till: Till,
    attached: Attached,
}

impl JobHandler<GiveBackPayment> for GiveBackPaymentHandler {
    async fn run(&self, job: GiveBackPayment) -> Result<()> {
        self.attached.soon(self.give_back(job).await)
    }
}

impl GiveBackPaymentHandler {
    async fn give_back(&self, job: GiveBackPayment) -> Result<()> {
        let Some(mut order) = self.till.order(job.order).await? else { return Ok(()) };
        if order.status() != OrderStatus::Cancelled {
            return Ok(());
        }
        // What the order knows may be older than what the gateway has: the gateway is asked.
        let gateway = self.attached.gateway()?;
        let payments = gateway.find(job.order).await?;
        for payment in payments.iter().filter(|payment| is_held(payment.status)) {
            if is_held(gateway.refund(job.order, &payment.id).await?.status) {
                return Err(Error::unavailable("the gateway did not give back what it has"));
            }
        }
        let was_declined =
            !payments.is_empty() && payments.iter().all(|payment| payment.status == PaymentStatus::Failed);
        let status = if was_declined { PaymentStatus::Failed } else { PaymentStatus::Refunded };
        self.till.note(&mut order, status, payments.into_iter().next().map(|payment| payment.id))
    }
}
