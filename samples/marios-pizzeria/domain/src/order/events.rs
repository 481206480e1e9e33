//! What happens to orders, as others learn of it.
//!
//! Each event carries the ids, the time and the acting user; none carries a name, a telephone number, an
//! address, the customer's notes or a tracking token. Who needs more reads the order.

use neuroglia::clock::Timestamp;
use neuroglia::domain::DomainEvent;
use serde::{Deserialize, Serialize};

use super::{OrderId, OrderLine, OrderStatus, PaymentMethod, PaymentStatus};
use crate::customer::CustomerId;
use crate::money::Money;
use crate::user::UserId;

/// What all events of orders tell.
pub trait OrderEvent: DomainEvent {
    /// The status that the order came to; `None` when it kept its own.
    const LEADS_TO: Option<OrderStatus>;

    /// The order.
    fn order_id(&self) -> OrderId;

    /// When.
    fn at(&self) -> Timestamp;
}

/// Gives each event its name, and the status that it tells of.
macro_rules! order_events {
    ($($event:ident: $name:literal => $leads_to:expr;)+) => {$(
        impl DomainEvent for $event {
            const NAME: &'static str = $name;
        }

        impl OrderEvent for $event {
            const LEADS_TO: Option<OrderStatus> = $leads_to;

            fn order_id(&self) -> OrderId {
                self.order_id
            }

            fn at(&self) -> Timestamp {
                self.at
            }
        }
    )+};
}

order_events! {
    OrderCreated: "order.created" => Some(OrderStatus::Pending);
    OrderConfirmed: "order.confirmed" => Some(OrderStatus::Confirmed);
    OrderCookingStarted: "order.cooking.started" => Some(OrderStatus::Cooking);
    OrderLate: "order.late" => None;
    OrderReady: "order.ready" => Some(OrderStatus::Ready);
    OrderDriverAssigned: "order.driver.assigned" => None;
    OrderDeliveryStarted: "order.delivery.started" => Some(OrderStatus::Delivering);
    OrderDelivered: "order.delivered" => Some(OrderStatus::Delivered);
    OrderCancelled: "order.cancelled" => Some(OrderStatus::Cancelled);
    OrderPaymentChanged: "order.payment.changed" => None;
    OrderCorrected: "order.corrected" => None;
}

/// An order was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCreated {
    /// The order.
    pub order_id: OrderId,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// What was ordered.
    pub lines: Vec<OrderLine>,
    /// What it costs.
    pub total: Money,
    /// With what it is paid.
    pub payment_method: PaymentMethod,
    /// When.
    pub at: Timestamp,
    /// Who placed it; `None` for a guest.
    pub by: Option<UserId>,
}

/// An order was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderConfirmed {
    /// The order.
    pub order_id: OrderId,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// What it costs.
    pub total: Money,
    /// When.
    pub at: Timestamp,
    /// Who confirmed it; `None` when it was paid by card.
    pub by: Option<UserId>,
}

/// The kitchen has started an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCookingStarted {
    /// The order.
    pub order_id: OrderId,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// When it should be ready.
    pub estimated_ready_at: Timestamp,
    /// When.
    pub at: Timestamp,
    /// Who cooks it.
    pub by: Option<UserId>,
}

/// An order waits for its driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderReady {
    /// The order.
    pub order_id: OrderId,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// When cooking started.
    pub cooking_started_at: Option<Timestamp>,
    /// When.
    pub at: Timestamp,
    /// Who cooked it.
    pub by: Option<UserId>,
}

/// An order has waited too long for its driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLate {
    /// The order.
    pub order_id: OrderId,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// Who is to drive it.
    pub driver: Option<UserId>,
    /// Since when it waits.
    pub ready_at: Timestamp,
    /// When it was noticed.
    pub at: Timestamp,
}

/// An order has a driver, or another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderDriverAssigned {
    /// The order.
    pub order_id: OrderId,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// Who drives it.
    pub driver: UserId,
    /// When.
    pub at: Timestamp,
    /// Who said so.
    pub by: Option<UserId>,
}

/// An order is on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderDeliveryStarted {
    /// The order.
    pub order_id: OrderId,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// Who drives it.
    pub driver: Option<UserId>,
    /// When.
    pub at: Timestamp,
    /// Who took it out.
    pub by: Option<UserId>,
}

/// An order has arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderDelivered {
    /// The order.
    pub order_id: OrderId,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// What it costs.
    pub total: Money,
    /// How far its payment has come: what is authorized is to be captured.
    pub payment_status: PaymentStatus,
    /// Who drove it.
    pub driver: Option<UserId>,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// When.
    pub at: Timestamp,
    /// Who handed it over.
    pub by: Option<UserId>,
}

/// An order was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCancelled {
    /// The order.
    pub order_id: OrderId,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// What it would have cost.
    pub total: Money,
    /// How far its payment has come: what is authorized or captured is to be given back.
    pub payment_status: PaymentStatus,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// Who cancelled it; `None` for a guest, and when it has expired.
    pub by: Option<UserId>,
}

/// The payment of an order has come further, or begins anew in another way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPaymentChanged {
    /// The order.
    pub order_id: OrderId,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// What it costs.
    pub total: Money,
    /// How far its payment has come.
    pub payment_status: PaymentStatus,
    /// When.
    pub at: Timestamp,
    /// Who did it; `None` when the gateway did, and for a guest.
    pub by: Option<UserId>,
}

/// What an order says of itself was made to agree again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCorrected {
    /// The order.
    pub order_id: OrderId,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// What it costs.
    pub total: Money,
    /// How far it has come.
    pub status: OrderStatus,
    /// When.
    pub at: Timestamp,
    /// Who did it; `None` for an operator without an account.
    pub by: Option<UserId>,
}
