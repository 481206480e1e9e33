//! The port to whoever takes cards.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::di::Inject;
use neuroglia::error::{Error, ErrorKind, Result};
use neuroglia::id::Ids;
use neuroglia::work::{Retry, Run};
use pizzeria_domain::money::Money;
use pizzeria_domain::order::{OrderId, Payment, PaymentSource, PaymentStatus};

/// What an order costs, and who pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The order, by which the gateway's payment is found again.
    pub order: OrderId,
    /// Which attempt to pay it. Each before this one was declined.
    pub attempt: u32,
    /// How much.
    pub amount: Money,
    /// The gateway's token for the card.
    pub source: PaymentSource,
}

impl Charge {
    /// By what the gateway recognises a repetition of this charge, which a charge after a decline is not.
    pub fn key(&self) -> String {
        match self.attempt {
            Payment::FIRST_ATTEMPT => format!("{}.authorise", self.order),
            attempt => format!("{}.authorise.{attempt}", self.order),
        }
    }

    /// What came of it, among the payments that the gateway has of the order.
    ///
    /// A decline may be that of an attempt before; it tells nothing then. When it was of this one after all, the gateway
    /// says so to whoever charges again by the same key.
    pub fn came_to(&self, payments: Vec<GatewayPayment>) -> Option<GatewayPayment> {
        let is_first = self.attempt == Payment::FIRST_ATTEMPT;
        payments.into_iter().find(|payment| is_first || payment.status != PaymentStatus::Failed)
    }
}

/// What the gateway has of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayPayment {
    /// The gateway's id.
    pub id: String,
    /// How far it has come there: authorized, captured, refunded or failed.
    pub status: PaymentStatus,
}

/// The payment by which an order is paid, among those that the gateway has of it: others were declined before.
pub(super) fn valid(payments: &[GatewayPayment]) -> Option<&GatewayPayment> {
    payments.iter().find(|payment| payment.status != PaymentStatus::Failed).or_else(|| payments.first())
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

#[cfg(test)]
mod tests {
    use pizzeria_domain::money::{Currency, Money};

    use super::*;

    fn charge(attempt: u32) -> Charge {
        let amount = Money::parse("38.78", Currency::USD).expect("an amount");
        Charge {
            order: Ids::sequence().next(),
            attempt,
            amount,
            source: "tok_visa".parse().expect("a token"),
        }
    }

    fn payment(id: &str, status: PaymentStatus) -> GatewayPayment {
        GatewayPayment { id: id.to_owned(), status }
    }

    #[test]
    fn each_attempt_has_a_key_of_its_own_and_the_first_the_one_that_it_always_had() {
        assert_eq!(charge(1).key(), format!("{}.authorise", charge(1).order));
        assert_eq!(charge(2).key(), format!("{}.authorise.2", charge(2).order));
    }

    #[test]
    fn a_decline_before_is_not_what_came_of_a_charge() {
        use PaymentStatus::{Authorized, Failed};
        let declined = payment("one", Failed);
        assert_eq!(charge(1).came_to(vec![declined.clone()]), Some(declined.clone()));
        assert_eq!(charge(2).came_to(vec![declined.clone()]), None);
        let held = payment("two", Authorized);
        assert_eq!(charge(2).came_to(vec![declined.clone(), held.clone()]), Some(held.clone()));

        assert_eq!(valid(&[declined.clone(), held.clone()]), Some(&held));
        assert_eq!(valid(std::slice::from_ref(&declined)), Some(&declined));
        assert_eq!(valid(&[]), None);
    }
}
