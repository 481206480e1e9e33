//! Hear from the gateway, by a webhook whose signature was verified.

use neuroglia::clock::{Clock, Timestamp};
use neuroglia::data::{Field, Repository};
use neuroglia::di::Inject;
use neuroglia::domain::{Aggregate, Root};
use neuroglia::error::Result;
use neuroglia::mediation::{Command, CommandHandler};
use neuroglia::work::{Job, JobHandler, Jobs};
use pizzeria_domain::order::{OrderId, PaymentStatus};
use serde::{Deserialize, Serialize};

use super::till::{ATTEMPTS_MAX, QUEUE, Till};

/// Hear how far a payment has come. The same webhook again is answered alike, and changes nothing.
#[derive(Debug, Clone)]
pub struct HearGateway {
    /// The id of the webhook.
    pub webhook: String,
    /// What it tells.
    pub news: NotePayment,
}

impl Command for HearGateway {
    type Response = ();
    type Handler = HearGatewayHandler;
}

/// A webhook that was heard, by its id.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HeardWebhook {
    id: String,
    at: Timestamp,
    #[serde(skip)]
    root: Root,
}

/// When a webhook was heard, for queries.
pub(super) const AT: Field<HeardWebhook, Timestamp> = Field::new("at");

impl Aggregate for HeardWebhook {
    type Id = String;
    const COLLECTION: &'static str = "payment_webhooks";

    fn id(&self) -> &String {
        &self.id
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}

/// Handles [`HearGateway`].
#[derive(Inject)]
pub struct HearGatewayHandler {
    heard: Repository<HeardWebhook>,
    jobs: Jobs,
    clock: Clock,
}

impl CommandHandler<HearGateway> for HearGatewayHandler {
    async fn handle(&self, command: HearGateway) -> Result<()> {
        if self.heard.get(&command.webhook).await?.is_some() {
            return Ok(());
        }
        self.jobs.enqueue(&command.news)?;
        let at = self.clock.now();
        self.heard.save(&mut HeardWebhook { id: command.webhook, at, root: Root::default() })
    }
}

/// Write down how far a payment has come, in the worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NotePayment {
    /// Of which order.
    pub order: OrderId,
    /// The gateway's id of the payment, when it told.
    pub payment: Option<String>,
    /// How far it has come.
    pub status: PaymentStatus,
}

impl Job for NotePayment {
    const KIND: &'static str = "payment.note";
    const QUEUE: &'static str = QUEUE;
    const ATTEMPTS_MAX: u32 = ATTEMPTS_MAX;
    type Output = ();
    type Handler = NotePaymentHandler;
}

/// Handles [`NotePayment`].
#[derive(Inject)]
pub struct NotePaymentHandler {
    till: Till,
}

impl JobHandler<NotePayment> for NotePaymentHandler {
    async fn run(&self, job: NotePayment) -> Result<()> {
        let is_failure = job.status == PaymentStatus::Failed;
        match self.till.order(job.order).await? {
            // It comes late. Of a decline of the present attempt the job hears that charges.
            Some(order) if is_failure && order.payment().may_have_failed_before(job.payment.as_deref()) => {
                Ok(())
            }
            Some(mut order) if order.payment().method().is_card() => {
                self.till.note(&mut order, job.status, job.payment)
            }
            _ => {
                tracing::warn!(order.id = %job.order, "the gateway told of a payment that is none of an order by card");
                Ok(())
            }
        }
    }
}
