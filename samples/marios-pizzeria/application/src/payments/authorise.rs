//! Have the gateway hold what an order costs.

use neuroglia::di::Inject;
use neuroglia::domain::Aggregate;
use neuroglia::error::{Error, Result};
use neuroglia::work::{Job, JobHandler, Jobs};
use pizzeria_domain::order::{Order, OrderId, OrderStatus, Payment, PaymentStatus};
use serde::{Deserialize, Serialize};

use super::gateway::Attached;
use super::till::{ATTEMPTS_MAX, QUEUE, Till};
use super::{Authorisation, Charge, GatewayPayment, GiveBackPayment};

/// Have the gateway hold what an order costs; the order is confirmed when it does.
#[derive(Debug, Serialize, Deserialize)]
pub struct AuthorisePayment {
    /// Which order.
    pub order: OrderId,
    /// Which attempt to pay it; one that another has followed is not made any more.
    #[serde(default = "first")]
    pub attempt: u32,
}

/// A job from before there were attempts is about the first.
const fn first() -> u32 {
    Payment::FIRST_ATTEMPT
}

impl Job for AuthorisePayment {
    const KIND: &'static str = "payment.authorise";
    const QUEUE: &'static str = QUEUE;
    const ATTEMPTS_MAX: u32 = ATTEMPTS_MAX;
    type Output = ();
    type Handler = AuthorisePaymentHandler;
}

/// Handles [`AuthorisePayment`].
#[derive(Inject)]
pub struct AuthorisePaymentHandler {
    till: Till,
    attached: Attached,
    jobs: Jobs,
}

impl JobHandler<AuthorisePayment> for AuthorisePaymentHandler {
    async fn run(&self, job: AuthorisePayment) -> Result<()> {
        self.attached.soon(self.authorise(job).await)
    }
}

impl AuthorisePaymentHandler {
    async fn authorise(&self, job: AuthorisePayment) -> Result<()> {
        let Some(mut order) = self.till.order(job.order).await? else { return Ok(()) };
        if order.status() == OrderStatus::Cancelled {
            // A try before this one may have charged it, whatever was written down since.
            self.jobs.enqueue(&GiveBackPayment::of(job.order))?;
            return Ok(());
        }
        let payment = order.payment();
        if payment.status() != PaymentStatus::Authorizing || payment.attempt() != job.attempt {
            return Ok(());
        }
        match self.charge(&order).await? {
            Authorisation::Given(GatewayPayment { id, status }) => {
                self.till.note(&mut order, status, Some(id))
            }
            Authorisation::Declined => self.till.note(&mut order, PaymentStatus::Failed, None),
        }
    }

    /// Charges the card, unless a try before this one has: one that was given back is not counted, so that the first may
    /// be none.
    async fn charge(&self, order: &Order) -> Result<Authorisation> {
        let payment = order.payment();
        let source = payment.source().cloned();
        let source = source.ok_or_else(|| Error::internal("an order by card has no payment source"))?;
        let charge = Charge { order: *order.id(), attempt: payment.attempt(), amount: order.total(), source };
        let gateway = self.attached.gateway()?;
        if let Some(payment) = charge.came_to(gateway.find(charge.order).await?) {
            return Ok(Authorisation::Given(payment));
        }
        gateway.authorise(&charge).await
    }
}
