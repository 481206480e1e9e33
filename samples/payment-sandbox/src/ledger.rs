//! The books: payments, and every movement of money that never was.

use neuroglia::clock::Timestamp;
use neuroglia::data::Field;
use neuroglia::domain::{Aggregate, Root};
use neuroglia::error::{Error, Result};
use neuroglia::id::Id;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far a payment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// The amount is held.
    Authorized,
    /// The amount is the merchant's.
    Captured,
    /// The amount is the customer's again.
    Refunded,
    /// The card was declined.
    Failed,
}

/// What moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// An amount is held.
    Authorize,
    /// What is held is taken.
    Capture,
    /// What was held or taken is given back.
    Refund,
    /// A card is declined.
    Decline,
}

impl Kind {
    /// Where it leads.
    pub(crate) const fn leads_to(self) -> Status {
        match self {
            Self::Authorize => Status::Authorized,
            Self::Capture => Status::Captured,
            Self::Refund => Status::Refunded,
            Self::Decline => Status::Failed,
        }
    }
}

/// A payment of a merchant's customer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Payment {
    pub(crate) id: Id<Self>,
    pub(crate) reference: String,
    pub(crate) amount: String,
    pub(crate) currency: String,
    pub(crate) status: Status,
    #[serde(skip)]
    root: Root,
}

/// The merchant's reference of a payment, for queries.
pub(crate) const REFERENCE: Field<Payment, String> = Field::new("reference");

impl Payment {
    pub(crate) fn new(
        id: Id<Self>,
        reference: String,
        amount: String,
        currency: String,
        status: Status,
    ) -> Self {
        Self { id, reference, amount, currency, status, root: Root::default() }
    }

    /// Captures or refunds; gives whether there was anything to do.
    ///
    /// # Errors
    /// When it cannot go there from where it is.
    pub(crate) fn advance(&mut self, kind: Kind) -> Result<bool> {
        let next = kind.leads_to();
        match (self.status, next) {
            (status, next) if status == next => Ok(false),
            (Status::Authorized, Status::Captured | Status::Refunded)
            | (Status::Captured, Status::Refunded) => {
                self.status = next;
                Ok(true)
            }
            _ => Err(Error::conflict(
                "payment.wrong_state",
                "the payment is in another state; look at it again",
            )),
        }
    }

    /// The movement that brought it to its status.
    pub(crate) fn movement(&self, id: Id<Movement>, kind: Kind, at: Timestamp) -> Movement {
        Movement {
            id,
            payment_id: self.id.to_string(),
            reference: self.reference.clone(),
            kind,
            amount: self.amount.clone(),
            currency: self.currency.clone(),
            at,
            root: Root::default(),
        }
    }
}

/// A line of the ledger.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Movement {
    id: Id<Self>,
    pub(crate) payment_id: String,
    pub(crate) reference: String,
    pub(crate) kind: Kind,
    pub(crate) amount: String,
    pub(crate) currency: String,
    pub(crate) at: Timestamp,
    #[serde(skip)]
    root: Root,
}

impl Aggregate for Payment {
    type Id = Id<Self>;
    const COLLECTION: &'static str = "payments";

    fn id(&self) -> &Id<Self> {
        &self.id
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}

impl Aggregate for Movement {
    type Id = Id<Self>;
    const COLLECTION: &'static str = "movements";

    fn id(&self) -> &Id<Self> {
        &self.id
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}
