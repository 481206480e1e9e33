//! Have the gateway give back what it has of a cancelled order.

use std::time::Duration;

use neuroglia::di::Inject;
use neuroglia::error::{Error, Result};
use neuroglia::work::{Job, JobHandler, JobOptions, Jobs};
use pizzeria_domain::order::{OrderId, OrderStatus, Payment, PaymentStatus};
use serde::{Deserialize, Serialize};

use super::gateway::{Attached, valid};
use super::till::{ATTEMPTS_MAX, QUEUE, Till, is_held};

/// When the gateway is asked again, after each time that it had nothing of the last attempt: a charge whose answer did
/// not come may be carried out after the order was cancelled, and without webhooks nobody tells of it.
const LOOK_AGAIN_AFTER: [Duration; 3] =
    [Duration::from_secs(60), Duration::from_secs(10 * 60), Duration::from_secs(60 * 60)];

/// Have the gateway give back whatever it has of a cancelled order.
#[derive(Debug, Serialize, Deserialize)]
pub struct GiveBackPayment {
    /// Which order.
    pub order: OrderId,
    /// How often the gateway was asked in vain.
    #[serde(default)]
    pub looks: u8,
}

impl GiveBackPayment {
    /// For the first time.
    pub(super) const fn of(order: OrderId) -> Self {
        Self { order, looks: 0 }
    }
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
    jobs: Jobs,
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
        let is_answered =
            was_declined || valid.is_some_and(|payment| payment.status != PaymentStatus::Failed);
        if let Some(pause) = LOOK_AGAIN_AFTER.get(usize::from(job.looks)).filter(|_| !is_answered) {
            let again = GiveBackPayment { looks: job.looks + 1, ..job };
            // Whoever cancels and whoever finds it cancelled may each have asked for the first look.
            let once = format!("{}.{}", again.order, again.looks);
            self.jobs.enqueue_with(&again, JobOptions::default().after(*pause).unique(once))?;
        }
        self.till.note(&mut order, status, valid.map(|payment| payment.id.clone()))
    }
}
