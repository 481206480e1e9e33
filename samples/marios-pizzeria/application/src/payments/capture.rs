//! Have the gateway take what it holds of a delivered order.

use neuroglia::di::Inject;
use neuroglia::error::{Error, Result};
use neuroglia::work::{Job, JobHandler};
use pizzeria_domain::order::{OrderId, PaymentStatus};
use serde::{Deserialize, Serialize};

use super::gateway::{Attached, valid};
use super::till::{ATTEMPTS_MAX, QUEUE, Till};

/// Have the gateway take what it holds of a delivered order.
#[derive(Debug, Serialize, Deserialize)]
pub struct CapturePayment {
    /// Which order.
    pub order: OrderId,
}

impl Job for CapturePayment {
    const KIND: &'static str = "payment.capture";
    const QUEUE: &'static str = QUEUE;
    const ATTEMPTS_MAX: u32 = ATTEMPTS_MAX;
    type Output = ();
    type Handler = CapturePaymentHandler;
}

/// Handles [`CapturePayment`].
#[derive(Inject)]
pub struct CapturePaymentHandler {
    till: Till,
    attached: Attached,
}

impl JobHandler<CapturePayment> for CapturePaymentHandler {
    async fn run(&self, job: CapturePayment) -> Result<()> {
        self.attached.soon(self.capture(job).await)
    }
}

impl CapturePaymentHandler {
    async fn capture(&self, job: CapturePayment) -> Result<()> {
        let Some(mut order) = self.till.order(job.order).await? else { return Ok(()) };
        if order.payment().status() != PaymentStatus::Authorized {
            return Ok(());
        }
        let gateway = self.attached.gateway()?;
        let held = match order.payment().reference() {
            Some(id) => Some(id.to_owned()),
            // A webhook may have told of it without its id.
            None => valid(&gateway.find(job.order).await?).map(|payment| payment.id.clone()),
        };
        let held =
            held.ok_or_else(|| Error::internal("the gateway has no payment of an order that it holds"))?;
        let payment = gateway.capture(job.order, &held).await?;
        if payment.status == PaymentStatus::Authorized {
            return Err(Error::unavailable("the gateway did not take what it holds"));
        }
        self.till.note(&mut order, payment.status, Some(payment.id))
    }
}
