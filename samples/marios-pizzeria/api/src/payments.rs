//! Where the payment gateway calls.

use std::convert::Infallible;
use std::sync::Arc;

use neuroglia::clock::Clock;
use neuroglia::di::Inject;
use neuroglia::error::{Error, ErrorKind, Result};
use neuroglia::mediation::Mediator;
use neuroglia::web::axum::body::Bytes;
use neuroglia::web::axum::extract::FromRequestParts;
use neuroglia::web::http::request::Parts;
use neuroglia::web::openapi::{Describe, Operation};
use neuroglia::web::{NoContent, controller};
use neuroglia::webhook::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, WebhookKey};
use pizzeria_application::payments::{HearGateway, NotePayment};
use pizzeria_domain::order::PaymentStatus;
use serde::Deserialize;
use serde_json::Value;

/// What the gateway signs its webhooks with; a service of the application.
#[derive(Debug)]
pub struct GatewayKey(pub WebhookKey);

/// What a webhook shows for itself; a header that is not there is empty, and refused as such.
struct Signature {
    id: String,
    timestamp: String,
    signatures: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Signature {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let header = |name: &str| {
            let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        Ok(Self {
            id: header(ID_HEADER),
            timestamp: header(TIMESTAMP_HEADER),
            signatures: header(SIGNATURE_HEADER),
        })
    }
}

impl Describe for Signature {
    fn describe_parameter(operation: &mut Operation<'_>) {
        for (name, description) in [
            (ID_HEADER, "the id of the webhook, the same when it comes again"),
            (TIMESTAMP_HEADER, "when it was signed, in seconds since 1970; no more than five minutes ago"),
            (SIGNATURE_HEADER, "its signatures, as Standard Webhooks has them"),
        ] {
            operation.header_parameter::<String>(name, true, description);
        }
        operation
            .problem(ErrorKind::Unauthenticated, "the webhook was not signed by the gateway, or long ago");
    }
}

/// A webhook of the gateway: `payment.authorized`, and what it is about. What that looks like depends on the type, so it is
/// read only of the types that are about payments.
#[derive(Deserialize)]
struct Webhook {
    r#type: String,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct Payment {
    id: Option<String>,
    reference: String,
}

impl Webhook {
    /// What it tells of an order; nothing when it is about something else.
    fn news(self) -> Result<Option<NotePayment>> {
        let status = match self.r#type.as_str() {
            "payment.authorized" => PaymentStatus::Authorized,
            "payment.captured" => PaymentStatus::Captured,
            "payment.refunded" => PaymentStatus::Refunded,
            "payment.failed" => PaymentStatus::Failed,
            _ => return Ok(None),
        };
        let Payment { id: payment, reference } = Payment::deserialize(self.data).map_err(malformed)?;
        Ok(reference.parse().ok().map(|order| NotePayment { order, payment, status }))
    }
}

fn malformed(cause: serde_json::Error) -> Error {
    Error::new(ErrorKind::Malformed, "webhook.body", "the body is no webhook of a payment gateway")
        .with_source(cause)
}

#[derive(Inject)]
pub(crate) struct PaymentsController {
    mediator: Mediator,
    key: Option<Arc<GatewayKey>>,
    clock: Clock,
}

#[controller("/api/v1/payments")]
impl PaymentsController {
    /// Hear from the payment gateway how far a payment has come.
    ///
    /// The body is signed as Standard Webhooks says. What comes twice is answered twice and done once; what is about
    /// something else than payments of orders is answered, and ignored.
    #[post("/webhook", public)]
    async fn hear(&self, signature: Signature, body: Bytes) -> Result<NoContent> {
        let Signature { id, timestamp, signatures } = signature;
        // Without a key nobody can have signed it.
        let GatewayKey(key) = self.key.as_deref().ok_or_else(Error::unauthenticated)?;
        key.verify(&id, &timestamp, &signatures, &body, self.clock.now())?;
        let webhook: Webhook = serde_json::from_slice(&body).map_err(malformed)?;
        if let Some(news) = webhook.news()? {
            self.mediator.send(HearGateway { webhook: id, news }).await?;
        }
        Ok(NoContent)
    }
}
