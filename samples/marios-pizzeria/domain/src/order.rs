//! Orders: from what a customer asks for to a pizza at the door.
//!
//! A draft is judged and priced from the menu ([`OrderDraft::priced`]), then placed. From there on an order
//! changes only by its steps, and [`Step`] is the table of what each step needs and where it leads. A step that
//! is refused names the status that it needs, and changes nothing. Who may take a step is not decided here.
//!
//! # Design notes
//! - Every step goes through one private function, which checks the table and writes the history.
//! - The history never goes back in time: a step of a machine whose clock is behind gets the time of the step
//!   before it.
//! - An order belongs to whoever placed it: an account, or the guest who has its tracking token. That it counts
//!   for the customer with its telephone number shows it to nobody.
//! - The contact is the one at the time of ordering. A customer who moves later does not redirect pizzas.
//! - Of a guest's tracking token the order keeps a digest that is made elsewhere; neither appears in an event.

mod correction;
mod draft;
mod error;
mod events;
mod payment;
mod status;

use std::time::Duration;

use neuroglia::clock::Timestamp;
use neuroglia::domain::{Aggregate, Root};
use neuroglia::id::Id;
use serde::{Deserialize, Serialize};

pub use correction::Defect;
pub use draft::{LineDraft, LineId, OrderDraft, OrderLine, PricedDraft};
pub use error::OrderError;
pub use events::{
    OrderCancelled, OrderConfirmed, OrderCookingStarted, OrderCorrected, OrderCreated, OrderDelivered,
    OrderDeliveryStarted, OrderDriverAssigned, OrderEvent, OrderLate, OrderPaymentChanged, OrderReady,
};
pub use payment::{
    NotAPaymentSource, Payment, PaymentDraft, PaymentMethod, PaymentSource, PaymentStatus,
    UnknownPaymentMethod,
};
pub use status::{OrderStatus, Step, UnknownStatus};

use crate::customer::{Contact, CustomerId};
use crate::money::Money;
use crate::refusal::Findings;
use crate::stamp::Stamp;
use crate::user::UserId;

/// The id of an order.
pub type OrderId = Id<Order>;

/// What a customer ordered, and how far it has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    id: OrderId,
    customer_id: CustomerId,
    #[serde(default)]
    placed_by: Option<UserId>,
    contact: Contact,
    lines: Vec<OrderLine>,
    total: Money,
    notes: Option<String>,
    payment: Payment,
    status: OrderStatus,
    history: Vec<HistoryEntry>,
    placed_at: Timestamp,
    confirmed_at: Option<Timestamp>,
    estimated_ready_at: Option<Timestamp>,
    ready_at: Option<Timestamp>,
    #[serde(default)]
    late_at: Option<Timestamp>,
    driver: Option<UserId>,
    cancel_reason: Option<String>,
    tracking_digest: Option<String>,
    #[serde(skip)]
    root: Root,
}

/// A status that an order came to, when, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    status: OrderStatus,
    at: Timestamp,
    by: Option<UserId>,
}

impl HistoryEntry {
    /// The status.
    pub const fn status(&self) -> OrderStatus {
        self.status
    }

    /// When the order came to it.
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// Who brought it there; `None` for a guest and for the pizzeria's own processes.
    pub const fn by(&self) -> Option<&UserId> {
        self.by.as_ref()
    }
}

impl Order {
    /// How long the first pizza of an order takes.
    pub const FIRST_PIZZA: Duration = Duration::from_secs(15 * 60);
    /// How much longer each further pizza takes.
    pub const FURTHER_PIZZA: Duration = Duration::from_secs(2 * 60);
    /// How long an order waits for its driver before it is late.
    pub const LATE_AFTER: Duration = Duration::from_secs(30 * 60);
    /// How long an order may be unpaid before it expires.
    pub const EXPIRES_AFTER: Duration = Duration::from_secs(15 * 60);
    /// The most characters of a reason to cancel.
    pub const REASON_CHARS_MAX: usize = 500;

    /// The path of the status.
    pub const STATUS_PATH: &'static str = "status";
    /// The path of the customer's id.
    pub const CUSTOMER_ID_PATH: &'static str = "customer_id";
    /// The path of the account that placed it.
    pub const PLACED_BY_PATH: &'static str = "placed_by";
    /// The path of the time at which it was placed.
    pub const PLACED_AT_PATH: &'static str = "placed_at";
    /// The path of the time at which it was confirmed, by which the kitchen's queue is sorted.
    pub const CONFIRMED_AT_PATH: &'static str = "confirmed_at";
    /// The path of the time since which it waits for its driver.
    pub const READY_AT_PATH: &'static str = "ready_at";
    /// The path of the time at which it was noticed that it is late.
    pub const LATE_AT_PATH: &'static str = "late_at";
    /// The path of the driver's id.
    pub const DRIVER_PATH: &'static str = "driver";
    /// The path of how far the payment has come.
    pub const PAYMENT_STATUS_PATH: &'static str = "payment.status";

    /// Places an order.
    ///
    /// `tracking_digest` is the digest of the token by which a guest follows it; an order of a user has none.
    pub fn place(
        id: OrderId,
        customer_id: CustomerId,
        contact: Contact,
        draft: PricedDraft,
        tracking_digest: Option<String>,
        stamp: Stamp,
    ) -> Self {
        let placed = HistoryEntry { status: OrderStatus::Pending, at: stamp.at, by: stamp.by };
        let mut order = Self {
            id,
            customer_id,
            placed_by: placed.by.clone(),
            contact,
            lines: draft.lines,
            total: draft.total,
            notes: draft.notes,
            payment: draft.payment,
            status: placed.status,
            history: vec![placed.clone()],
            placed_at: placed.at,
            confirmed_at: None,
            estimated_ready_at: None,
            ready_at: None,
            late_at: None,
            driver: None,
            cancel_reason: None,
            tracking_digest,
            root: Root::default(),
        };
        order.raise(OrderCreated {
            order_id: id,
            customer_id,
            lines: order.lines.clone(),
            total: order.total,
            payment_method: order.payment.method,
            at: placed.at,
            by: placed.by,
        });
        order
    }

    /// Accepts it.
    ///
    /// # Errors
    /// When it is not pending, or is to be paid by card and nothing is authorised yet.
    pub fn confirm(&mut self, stamp: Stamp) -> Result<(), OrderError> {
        self.check_paid(Step::Confirm)?;
        let HistoryEntry { at, by, .. } = self.advance(Step::Confirm, stamp)?;
        self.confirmed_at = Some(at);
        self.raise(OrderConfirmed {
            order_id: self.id,
            customer_id: self.customer_id,
            total: self.total,
            at,
            by,
        });
        Ok(())
    }

    /// Starts to cook it, and estimates when it is ready: 15 minutes, and 2 more for each pizza after the first.
    ///
    /// # Errors
    /// When it is not confirmed, or its payment is no longer assured.
    pub fn start_cooking(&mut self, stamp: Stamp) -> Result<(), OrderError> {
        self.check_paid(Step::Cook)?;
        let HistoryEntry { at, by, .. } = self.advance(Step::Cook, stamp)?;
        let estimated_ready_at = at + self.cooking_time();
        self.estimated_ready_at = Some(estimated_ready_at);
        self.raise(OrderCookingStarted {
            order_id: self.id,
            customer_id: self.customer_id,
            estimated_ready_at,
            at,
            by,
        });
        Ok(())
    }

    /// Finishes cooking it.
    ///
    /// # Errors
    /// When it is not cooking.
    pub fn mark_ready(&mut self, stamp: Stamp) -> Result<(), OrderError> {
        let HistoryEntry { at, by, .. } = self.advance(Step::Ready, stamp)?;
        self.ready_at = Some(at);
        self.raise(OrderReady {
            order_id: self.id,
            customer_id: self.customer_id,
            cooking_started_at: self.reached_at(OrderStatus::Cooking),
            at,
            by,
        });
        Ok(())
    }

    /// Notes that it has waited too long for its driver, once; gives whether that was news.
    pub fn mark_late(&mut self, at: Timestamp) -> bool {
        let Some(ready_at) = self.ready_at.filter(|_| self.status == OrderStatus::Ready) else {
            return false;
        };
        if self.late_at.is_some() || at.since(ready_at) < Self::LATE_AFTER {
            return false;
        }
        self.late_at = Some(at);
        self.raise(OrderLate {
            order_id: self.id,
            customer_id: self.customer_id,
            driver: self.driver.clone(),
            ready_at,
            at,
        });
        true
    }

    /// Gives it up when nobody has paid for it in time; gives whether that was so.
    ///
    /// That is an order by card whose payment is not assured. An order in cash is paid at the door, and waits for a
    /// person to confirm it, however long that takes.
    ///
    /// # Errors
    /// Those of [`Order::cancel`].
    pub fn expire(&mut self, at: Timestamp) -> Result<bool, OrderError> {
        let is_unpaid = self.status == OrderStatus::Pending && !self.payment.status.is_assured();
        if !is_unpaid || at.since(self.placed_at) < Self::EXPIRES_AFTER {
            return Ok(false);
        }
        self.cancel("not paid in time", Stamp::anonymous(at)).map(|()| true)
    }

    /// Says who drives it, whoever was to drive it before; the same driver again changes nothing.
    ///
    /// # Errors
    /// When it is not confirmed, cooking or ready.
    pub fn assign_driver(&mut self, driver: UserId, stamp: Stamp) -> Result<(), OrderError> {
        self.check(Step::AssignDriver)?;
        if self.driver.as_ref() == Some(&driver) {
            return Ok(());
        }
        self.driver = Some(driver.clone());
        self.raise(OrderDriverAssigned {
            order_id: self.id,
            customer_id: self.customer_id,
            driver,
            at: stamp.at,
            by: stamp.by,
        });
        Ok(())
    }

    /// Lets a driver take it for oneself, while no other driver has it.
    ///
    /// # Errors
    /// When it is not confirmed, cooking or ready, or another driver has it.
    pub fn claim(&mut self, driver: UserId, at: Timestamp) -> Result<(), OrderError> {
        self.check(Step::AssignDriver)?;
        match &self.driver {
            Some(other) if *other != driver => Err(OrderError::DriverTaken { driver: other.clone() }),
            _ => self.assign_driver(driver.clone(), Stamp::by(driver, at)),
        }
    }

    /// Takes it out; an order without a driver goes out as well, with whoever takes it.
    ///
    /// # Errors
    /// When it is not ready, or its payment is no longer assured.
    pub fn start_delivery(&mut self, stamp: Stamp) -> Result<(), OrderError> {
        self.check_paid(Step::Deliver)?;
        let HistoryEntry { at, by, .. } = self.advance(Step::Deliver, stamp)?;
        self.raise(OrderDeliveryStarted {
            order_id: self.id,
            customer_id: self.customer_id,
            driver: self.driver.clone(),
            at,
            by,
        });
        Ok(())
    }

    /// Hands it over; cash is taken with it.
    ///
    /// This is not refused when a card's payment fails on the way: the pizza is at the door, and to leave the order
    /// open would tell less of the truth. Such an order has brought in nothing ([`Order::brought_in`]).
    ///
    /// # Errors
    /// When it is not on its way.
    pub fn complete(&mut self, stamp: Stamp) -> Result<(), OrderError> {
        let HistoryEntry { at, by, .. } = self.advance(Step::Complete, stamp)?;
        if self.payment.status == PaymentStatus::Due {
            self.payment.status = PaymentStatus::Captured;
        }
        self.raise(OrderDelivered {
            order_id: self.id,
            customer_id: self.customer_id,
            total: self.total,
            payment_status: self.payment.status,
            driver: self.driver.clone(),
            placed_at: self.placed_at,
            at,
            by,
        });
        Ok(())
    }

    /// Gives it up: before it is cooked, or until it is taken out when nobody pays for it any more.
    ///
    /// # Errors
    /// When it has come further than that, or the reason is missing or too long.
    pub fn cancel(&mut self, reason: &str, stamp: Stamp) -> Result<(), OrderError> {
        self.check(Step::Cancel)?;
        let mut findings = Findings::default();
        let reason = findings.prose("/reason", reason, Self::REASON_CHARS_MAX);
        if reason.is_empty() {
            findings.refuse("/reason", "required", "must not be empty");
        }
        findings.verdict()?;
        let HistoryEntry { at, by, .. } = self.advance(Step::Cancel, stamp)?;
        self.cancel_reason = Some(reason.clone());
        self.raise(OrderCancelled {
            order_id: self.id,
            customer_id: self.customer_id,
            total: self.total,
            payment_status: self.payment.status,
            reason,
            at,
            by,
        });
        Ok(())
    }

    /// Has it paid in another way after its card was declined; of this attempt the gateway has said nothing yet.
    ///
    /// It expires when it would have before.
    ///
    /// # Errors
    /// When it is not pending, or its payment has not failed.
    pub fn pay_otherwise(&mut self, payment: Payment, stamp: Stamp) -> Result<(), OrderError> {
        if self.status != OrderStatus::Pending || self.payment.status != PaymentStatus::Failed {
            return Err(OrderError::NotDeclined { actual: self.status, payment: self.payment.status });
        }
        self.payment = Payment { attempt: self.payment.attempt.saturating_add(1), ..payment };
        self.raise_payment_changed(stamp);
        Ok(())
    }

    /// Writes down what the gateway says of the payment; the same again changes nothing.
    ///
    /// `reference` is the gateway's id of the payment, and is kept once it is known.
    ///
    /// # Errors
    /// When the payment cannot go there from where it is, or is in cash.
    pub fn record_payment(
        &mut self,
        next: PaymentStatus,
        reference: Option<String>,
        stamp: Stamp,
    ) -> Result<(), OrderError> {
        let actual = self.payment.status;
        if !self.payment.method.is_card() {
            return Err(OrderError::WrongPaymentState { next, actual });
        }
        if next != actual {
            if !actual.may_become(next) {
                return Err(OrderError::WrongPaymentState { next, actual });
            }
            self.payment.status = next;
            self.raise_payment_changed(stamp);
        }
        if reference.is_some() {
            self.payment.reference = reference;
        }
        Ok(())
    }

    fn raise_payment_changed(&mut self, stamp: Stamp) {
        self.raise(OrderPaymentChanged {
            order_id: self.id,
            customer_id: self.customer_id,
            total: self.total,
            payment_status: self.payment.status,
            at: stamp.at,
            by: stamp.by,
        });
    }

    fn check(&self, step: Step) -> Result<(), OrderError> {
        if step.needs().contains(&self.status) || (step == Step::Cancel && self.is_stranded()) {
            Ok(())
        } else {
            Err(OrderError::WrongState { step, actual: self.status })
        }
    }

    /// What is cooked and taken out is paid for, or will be. A gateway may take back what it said before.
    fn check_paid(&self, step: Step) -> Result<(), OrderError> {
        self.check(step)?;
        match self.payment.status {
            assured if assured.is_assured() => Ok(()),
            payment => Err(OrderError::Unpaid { step, payment }),
        }
    }

    /// Whether nobody pays for it any more and it cannot go out, though the kitchen has begun: it may only be given up.
    const fn is_stranded(&self) -> bool {
        matches!(self.status, OrderStatus::Cooking | OrderStatus::Ready) && !self.payment.status.is_assured()
    }

    /// Takes a step, the only way in which the status changes, and gives the history's new entry.
    fn advance(&mut self, step: Step, stamp: Stamp) -> Result<HistoryEntry, OrderError> {
        self.check(step)?;
        let at = self.history.last().map_or(stamp.at, |last| last.at.max(stamp.at));
        let entry = HistoryEntry { status: step.leads_to().unwrap_or(self.status), at, by: stamp.by };
        self.status = entry.status;
        self.history.push(entry.clone());
        Ok(entry)
    }

    fn cooking_time(&self) -> Duration {
        let further = self.pizza_count().saturating_sub(1);
        Self::FIRST_PIZZA.saturating_add(Self::FURTHER_PIZZA.saturating_mul(further))
    }

    /// How many pizzas it has.
    pub fn pizza_count(&self) -> u32 {
        self.lines.iter().fold(0, |count, line| count.saturating_add(line.quantity()))
    }

    /// When it came to this status, if it has.
    pub fn reached_at(&self, status: OrderStatus) -> Option<Timestamp> {
        self.history.iter().find(|entry| entry.status == status).map(|entry| entry.at)
    }

    /// The account that placed it, to which it belongs; `None` when a guest did.
    pub const fn placed_by(&self) -> Option<&UserId> {
        self.placed_by.as_ref()
    }

    /// For which customer it counts.
    pub const fn customer_id(&self) -> CustomerId {
        self.customer_id
    }

    /// How the customer is reached about it, and where it goes.
    pub const fn contact(&self) -> &Contact {
        &self.contact
    }

    /// What was ordered; never empty.
    pub fn lines(&self) -> &[OrderLine] {
        &self.lines
    }

    /// What it costs.
    pub const fn total(&self) -> Money {
        self.total
    }

    /// Whether the pizzeria has its total, or will have: it was delivered, and its payment did not fail and was not
    /// given back since.
    pub fn brought_in(&self) -> bool {
        self.status == OrderStatus::Delivered && self.payment.status.is_assured()
    }

    /// What the customer wants us to know.
    pub fn notes(&self) -> Option<&str> {
        self.notes.as_deref()
    }

    /// How it is paid.
    pub const fn payment(&self) -> &Payment {
        &self.payment
    }

    /// How far it has come.
    pub const fn status(&self) -> OrderStatus {
        self.status
    }

    /// Every status that it came to, in order.
    pub fn history(&self) -> &[HistoryEntry] {
        &self.history
    }

    /// When it was placed.
    pub const fn placed_at(&self) -> Timestamp {
        self.placed_at
    }

    /// When it was confirmed.
    pub const fn confirmed_at(&self) -> Option<Timestamp> {
        self.confirmed_at
    }

    /// When it should be ready; known once it cooks.
    pub const fn estimated_ready_at(&self) -> Option<Timestamp> {
        self.estimated_ready_at
    }

    /// When it was ready.
    pub const fn ready_at(&self) -> Option<Timestamp> {
        self.ready_at
    }

    /// When it was noticed that it has waited too long for its driver.
    pub const fn late_at(&self) -> Option<Timestamp> {
        self.late_at
    }

    /// Who drives it.
    pub const fn driver(&self) -> Option<&UserId> {
        self.driver.as_ref()
    }

    /// Why it was cancelled.
    pub fn cancel_reason(&self) -> Option<&str> {
        self.cancel_reason.as_deref()
    }

    /// The digest of the token by which a guest follows it.
    pub fn tracking_digest(&self) -> Option<&str> {
        self.tracking_digest.as_deref()
    }
}

impl Aggregate for Order {
    type Id = OrderId;

    const COLLECTION: &'static str = "orders";

    fn id(&self) -> &OrderId {
        &self.id
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}
