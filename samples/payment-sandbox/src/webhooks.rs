//! How the merchant hears of its payments: by signed webhooks, each until it was taken.

use std::sync::Arc;
use std::time::Duration;

use neuroglia::clock::{Clock, Timestamp};
use neuroglia::di::Inject;
use neuroglia::error::{Error, Result};
use neuroglia::id::Ids;
use neuroglia::settings::Secret;
use neuroglia::webhook::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, WebhookKey};
use neuroglia::work::{Job, JobHandler, JobOptions, Jobs, Run};
use neuroglia_backing::http::{Method, ServiceClient, ServiceOptions};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::faults::{Fault, Faults};
use crate::ledger::Status;
use crate::payments::PaymentDto;

/// How long a webhook is held back that is to come out of order.
const HELD_BACK: Duration = Duration::from_secs(2);

/// Where the merchant listens; a service of the application, when there is such a place.
pub(crate) struct Merchant {
    client: ServiceClient,
    key: Secret<WebhookKey>,
}

impl Merchant {
    pub(crate) fn new(
        options: ServiceOptions,
        key: Secret<WebhookKey>,
        clock: Clock,
        ids: Ids,
    ) -> Result<Self> {
        Ok(Self { client: ServiceClient::new(options, clock, ids)?, key })
    }
}

/// Asks for webhooks, in the unit of work of what they tell.
#[derive(Inject)]
pub(crate) struct Webhooks {
    merchant: Option<Arc<Merchant>>,
    faults: Arc<Faults>,
    jobs: Jobs,
}

impl Webhooks {
    pub(crate) fn tell(&self, payment: PaymentDto, at: Timestamp) -> Result<()> {
        if self.merchant.is_none() {
            return Ok(());
        }
        let options = match self.faults.take(Fault::ReorderedWebhooks) {
            true => JobOptions::default().after(HELD_BACK),
            false => JobOptions::default(),
        };
        let times = if self.faults.take(Fault::DuplicateWebhook) { 2 } else { 1 };
        self.jobs.enqueue_with(&SendWebhook { payment, at, times }, options).map(drop)
    }
}

/// Tell the merchant how far a payment has come.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SendWebhook {
    payment: PaymentDto,
    at: Timestamp,
    /// How often, when all goes well.
    times: u32,
}

impl Job for SendWebhook {
    const KIND: &'static str = "webhook";
    const ATTEMPTS_MAX: u32 = 20;
    type Output = ();
    type Handler = SendWebhookHandler;
}

/// Handles [`SendWebhook`].
#[derive(Inject)]
pub(crate) struct SendWebhookHandler {
    merchant: Option<Arc<Merchant>>,
    run: Run,
    clock: Clock,
}

impl JobHandler<SendWebhook> for SendWebhookHandler {
    async fn run(&self, job: SendWebhook) -> Result<()> {
        let Some(Merchant { client, key }) = self.merchant.as_deref() else { return Ok(()) };
        let name = match job.payment.status {
            Status::Authorized => "payment.authorized",
            Status::Captured => "payment.captured",
            Status::Refunded => "payment.refunded",
            Status::Failed => "payment.failed",
        };
        let body = json!({"type": name, "timestamp": job.at, "data": job.payment}).to_string();
        let id = self.run.id()?;
        for _ in 0..job.times {
            let now = self.clock.now();
            let signature = key.expose().sign(&id, now, body.as_bytes());
            client
                .call(Method::POST, std::iter::empty::<&str>())
                .header(ID_HEADER, &id)
                .header(TIMESTAMP_HEADER, &now.unix_seconds().to_string())
                .header(SIGNATURE_HEADER, &signature)
                .body("application/json", body.clone())
                .repeatable()
                .send()
                .await
                .and_then(|reply| reply.success())
                // Whatever the merchant says, it may say something else once it is mended.
                .map_err(Error::unavailable)?;
        }
        Ok(())
    }
}
