//! The port to whoever takes cards.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::di::Inject;
use neuroglia::error::{Error, ErrorKind, Result};
use neuroglia::id::Ids;
use neuroglia::work::{Retry, Run};
use pizzeria_domain::money::Money;
use pizzeria_domain::order::{OrderId, PaymentSource, PaymentStatus};

/// What an order costs, and who pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The order, by which the gateway's payment is found again.
    pub order: OrderId,
    /// How much.
    pub amount: Money,
    /// The gateway's token for the card.
    pub source: PaymentSource,
}

/// What the gateway has of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayPayment {
    /// The gateway's id.
    pub id: String,
    /// How far it has come there: authorized, captured, refunded or failed.
    pub status: PaymentStatus,
}

/// What came of a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorisation {
    /// The gateway has a payment.
    Given(GatewayPayment),
    /// The card was declined.
    Declined,
}

/// Takes cards. Every call may be made again: it carries a key by which the gateway recognises a repetition.
///
/// # Errors
/// Every method gives [`ErrorKind::Unavailable`] when the gateway does not answer. Whether the call had its effect is
/// not known then; [`PaymentGateway::find`] tells.
#[async_trait]
pub trait PaymentGateway: Send + Sync {
    /// Holds the amount, unless the card is declined.
    async fn authorise(&self, charge: &Charge) -> Result<Authorisation>;

    /// Takes what is held; gives the payment as it is afterwards.
    async fn capture(&self, order: OrderId, payment: &str) -> Result<GatewayPayment>;

    /// Gives back what is held or was taken; gives the payment as it is afterwards.
    async fn refund(&self, order: OrderId, payment: &str) -> Result<GatewayPayment>;

    /// What the gateway has of an order; nothing when it was never charged.
    async fn find(&self, order: OrderId) -> Result<Vec<GatewayPayment>>;
}

/// The longest pause between two attempts of a payment's job: whoever waits for a confirmation hears soon after the
/// gateway is well again, and long before the order expires.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The gateway, when one is attached, as a job calls it.
#[derive(Inject)]
pub(super) struct Attached {
    gateway: Option<Arc<dyn PaymentGateway>>,
    run: Run,
    ids: Ids,
}

impl Attached {
    /// The gateway.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when none is attached.
    pub(super) fn gateway(&self) -> Result<&dyn PaymentGateway> {
        self.gateway.as_deref().ok_or_else(|| {
            Error::new(
                ErrorKind::Unavailable,
                "payment.no_gateway",
                "no payment gateway is attached; set PAYMENT_URL",
            )
        })
    }

    /// Whether this is the first attempt of the job: none before it can have called the gateway.
    pub(super) fn is_first_attempt(&self) -> Result<bool> {
        Ok(self.run.attempt()? == 1)
    }

    /// The outcome of an attempt; when it may be another one later, it is tried again soon.
    pub(super) fn soon(&self, outcome: Result<()>) -> Result<()> {
        let error = match outcome {
            Err(error) if error.kind().is_transient() && error.retry_after_s().is_none() => error,
            outcome => return outcome,
        };
        let doublings = self.run.attempt()?.saturating_sub(1).min(5);
        let ceiling = Duration::from_secs(1 << doublings).min(PAUSE_MAX);
        Err(error.with_retry(Retry::After(self.ids.jitter(ceiling))))
    }
}
