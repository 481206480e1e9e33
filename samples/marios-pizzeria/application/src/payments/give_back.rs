//! Have the gateway give back what it has of a cancelled order.

use neuroglia::di::Inject;
use neuroglia::error::{Error, Result};
use neuroglia::work::{Job, JobHandler};
use pizzeria_domain::order::{OrderId, OrderStatus, Payment, PaymentStatus};
use serde::{Deserialize, Serialize};

use super::gateway::{Attached, valid};
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
        // Of a further attempt the gateway may have nothing but the declines before it: the customer was never charged.
        let is_first = order.payment().attempt() == Payment::FIRST_ATTEMPT;
        let valid = valid(&payments);
        let was_declined = is_first && valid.is_some_and(|payment| payment.status == PaymentStatus::Failed);
        let status = if was_declined { PaymentStatus::Failed } else { PaymentStatus::Refunded };
        self.till.note(&mut order, status, valid.map(|payment| payment.id.clone()))
    }
}
