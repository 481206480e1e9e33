//! What a merchant may ask for: charges and what follows them, payments by their reference, and the ledger.

use neuroglia::clock::{Clock, Timestamp};
use neuroglia::data::{Page, Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::error::{Error, Result};
use neuroglia::id::{Id, Ids};
use neuroglia::mediation::{Command, CommandHandler, Query, QueryHandler};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::{Kind, Movement, Payment, REFERENCE, Status};
use crate::webhooks::Webhooks;

/// The card that is always declined.
const DECLINED: &str = "tok_declined";

/// Hold an amount.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(crate) struct Charge {
    /// How much, with two places, such as `38.78`.
    pub(crate) amount: String,
    /// The currency, as ISO 4217 has it.
    pub(crate) currency: String,
    /// The merchant's own id of what is paid.
    pub(crate) reference: String,
    /// The token of the card.
    pub(crate) source: String,
}

/// A payment.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PaymentDto {
    /// Its id.
    pub(crate) id: String,
    /// How far it has come.
    pub(crate) status: Status,
    /// The merchant's own id of what is paid.
    pub(crate) reference: String,
    /// How much.
    pub(crate) amount: String,
    /// The currency.
    pub(crate) currency: String,
}

impl From<&Payment> for PaymentDto {
    fn from(payment: &Payment) -> Self {
        Self {
            id: payment.id.to_string(),
            status: payment.status,
            reference: payment.reference.clone(),
            amount: payment.amount.clone(),
            currency: payment.currency.clone(),
        }
    }
}

/// A line of the ledger.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MovementDto {
    /// Which payment.
    payment_id: String,
    /// Of what.
    reference: String,
    /// What was done.
    kind: Kind,
    /// How much.
    amount: String,
    /// The currency.
    currency: String,
    /// When.
    #[schemars(with = "String")]
    at: Timestamp,
}

impl From<Movement> for MovementDto {
    fn from(movement: Movement) -> Self {
        let Movement { payment_id, reference, kind, amount, currency, at, .. } = movement;
        Self { payment_id, reference, kind, amount, currency, at }
    }
}

/// The books, to write in.
#[derive(Inject)]
struct Books {
    payments: Repository<Payment>,
    movements: Repository<Movement>,
    webhooks: Webhooks,
    clock: Clock,
    ids: Ids,
}

impl Books {
    /// Writes down a movement, and has the merchant told of it.
    fn enter(&self, payment: &mut Payment, kind: Kind) -> Result<()> {
        let at = self.clock.now();
        self.payments.save(payment)?;
        self.movements.save(&mut payment.movement(self.ids.next(), kind, at))?;
        self.webhooks.tell(PaymentDto::from(&*payment), at)
    }
}

impl Command for Charge {
    type Response = PaymentDto;
    type Handler = ChargeHandler;
}

/// Handles [`Charge`].
#[derive(Inject)]
pub(crate) struct ChargeHandler {
    books: Books,
}

impl CommandHandler<Charge> for ChargeHandler {
    async fn handle(&self, command: Charge) -> Result<PaymentDto> {
        let Charge { amount, currency, reference, source } = command;
        if !is_amount(&amount) || currency.len() != 3 || reference.is_empty() || source.is_empty() {
            return Err(Error::invalid(
                "payment.invalid",
                "amount (such as 38.78), currency (such as USD), reference and source are needed",
            ));
        }
        let kind = if source == DECLINED { Kind::Decline } else { Kind::Authorize };
        let mut payment = Payment::new(self.books.ids.next(), reference, amount, currency, kind.leads_to());
        self.books.enter(&mut payment, kind)?;
        Ok(PaymentDto::from(&payment))
    }
}

/// Digits, a point, two digits; and not nothing.
fn is_amount(text: &str) -> bool {
    let is_digits =
        |part: &str| !part.is_empty() && part.len() <= 12 && part.bytes().all(|b| b.is_ascii_digit());
    text.split_once('.')
        .is_some_and(|(whole, cents)| is_digits(whole) && is_digits(cents) && cents.len() == 2)
        && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte))
}

/// Capture or refund a payment; once more changes nothing.
#[derive(Debug, Clone)]
pub(crate) struct MovePayment {
    pub(crate) id: Id<Payment>,
    pub(crate) kind: Kind,
}

impl Command for MovePayment {
    type Response = PaymentDto;
    type Handler = MovePaymentHandler;
}

/// Handles [`MovePayment`].
#[derive(Inject)]
pub(crate) struct MovePaymentHandler {
    books: Books,
}

impl CommandHandler<MovePayment> for MovePaymentHandler {
    async fn handle(&self, command: MovePayment) -> Result<PaymentDto> {
        let MovePayment { id, kind } = command;
        let found = self.books.payments.get(&id).await?;
        let mut payment = found.ok_or_else(|| Error::not_found("payment", id))?;
        if payment.advance(kind)? {
            self.books.enter(&mut payment, kind)?;
        }
        Ok(PaymentDto::from(&payment))
    }
}

/// Find the payments of a reference; all, when there is none.
#[derive(Debug, Clone)]
pub(crate) struct FindPayments {
    pub(crate) reference: Option<String>,
}

impl Query for FindPayments {
    type Response = Page<PaymentDto>;
    type Handler = FindPaymentsHandler;
}

/// Handles [`FindPayments`].
#[derive(Inject)]
pub(crate) struct FindPaymentsHandler {
    payments: Repository<Payment>,
}

impl QueryHandler<FindPayments> for FindPaymentsHandler {
    async fn handle(&self, query: FindPayments) -> Result<Page<PaymentDto>> {
        let find = query.reference.map_or_else(Find::all, |reference| Find::filter(REFERENCE.eq(reference)));
        Ok(self.payments.find(find).await?.map(|payment| PaymentDto::from(&payment)))
    }
}

/// Read the whole ledger, the oldest movement first.
#[derive(Debug, Clone)]
pub(crate) struct ReadLedger {}

impl Query for ReadLedger {
    type Response = Page<MovementDto>;
    type Handler = ReadLedgerHandler;
}

/// Handles [`ReadLedger`].
#[derive(Inject)]
pub(crate) struct ReadLedgerHandler {
    movements: Repository<Movement>,
}

impl QueryHandler<ReadLedger> for ReadLedgerHandler {
    async fn handle(&self, _: ReadLedger) -> Result<Page<MovementDto>> {
        let mut ledger = Page { items: Vec::new(), next: None };
        loop {
            let find = Find::all().after(ledger.next.take()).limit(neuroglia::data::PAGE_LIMIT_MAX);
            let page = self.movements.find(find).await?;
            ledger.items.extend(page.items.into_iter().map(MovementDto::from));
            match page.next {
                None => return Ok(ledger),
                next => ledger.next = next,
            }
        }
    }
}
