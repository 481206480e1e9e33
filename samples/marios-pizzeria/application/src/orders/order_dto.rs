//! An order on the wire.

use neuroglia::clock::Timestamp;
use neuroglia::domain::Aggregate;
use pizzeria_domain::menu::Size;
use pizzeria_domain::order::{HistoryEntry, Order, OrderLine, OrderStatus, PaymentMethod, PaymentStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::money::MoneyDto;
use crate::wire::{NameOf, Time, Uuid};

/// An order.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OrderDto {
    /// Its id.
    #[schemars(with = "Uuid")]
    pub id: String,
    /// pending, confirmed, cooking, ready, delivering, delivered or cancelled.
    #[schemars(with = "NameOf<OrderStatus>")]
    pub status: String,
    /// How often it was changed.
    pub version: u64,
    /// Who ordered, and where to deliver.
    pub customer: OrderCustomerDto,
    /// What was ordered.
    pub lines: Vec<LineDto>,
    /// What it costs.
    pub total: MoneyDto,
    /// How it is paid.
    pub payment: PaymentDto,
    /// What the customer wants us to know.
    pub notes: Option<String>,
    /// Every status that it came to.
    pub history: Vec<HistoryDto>,
    /// When it was placed.
    #[schemars(with = "Time")]
    pub placed_at: Timestamp,
    /// When it will probably be ready; known once it cooks.
    #[schemars(with = "Option<Time>")]
    pub estimated_ready_at: Option<Timestamp>,
    /// When it was noticed that it waits too long for its driver.
    #[schemars(with = "Option<Time>")]
    pub late_at: Option<Timestamp>,
    /// Who drives it.
    pub driver: Option<String>,
    /// Why it was cancelled.
    pub cancel_reason: Option<String>,
}

/// A placed order: what its guest needs to follow it is in this answer and nowhere else.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PlacedOrderDto {
    /// The order.
    #[serde(flatten)]
    pub order: OrderDto,
    /// By which a guest follows the order, as `X-Tracking-Token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking_token: Option<String>,
}

/// Who ordered.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OrderCustomerDto {
    /// The customer's id.
    #[schemars(with = "Uuid")]
    pub id: String,
    /// The name.
    pub name: String,
    /// The telephone number.
    pub phone: String,
    /// The e-mail address.
    pub email: Option<String>,
    /// Where to deliver.
    pub address: Option<String>,
}

/// One line of an order.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LineDto {
    /// Its id.
    #[schemars(with = "Uuid")]
    pub id: String,
    /// The pizza.
    pub pizza_id: String,
    /// What it was called.
    pub name: String,
    /// small, medium or large.
    #[schemars(with = "NameOf<Size>")]
    pub size: String,
    /// What was added.
    pub toppings: Vec<String>,
    /// How many.
    pub quantity: u32,
    /// What one of them costs.
    pub unit_price: MoneyDto,
    /// What they cost together.
    pub line_total: MoneyDto,
}

/// How an order is paid.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PaymentDto {
    /// cash, credit_card or debit_card.
    #[schemars(with = "NameOf<PaymentMethod>")]
    pub method: String,
    /// due, authorizing, authorized, captured, refunded or failed.
    #[schemars(with = "NameOf<PaymentStatus>")]
    pub status: String,
}

/// A status that an order came to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct HistoryDto {
    /// The status.
    #[schemars(with = "NameOf<OrderStatus>")]
    pub status: String,
    /// When.
    #[schemars(with = "Time")]
    pub at: Timestamp,
    /// The user who brought it there; null for a guest.
    pub by: Option<String>,
}

impl OrderDto {
    /// The order as clients see it.
    pub fn of(order: &Order) -> Self {
        let contact = order.contact();
        Self {
            id: order.id().to_string(),
            status: order.status().as_str().to_owned(),
            version: order.version(),
            customer: OrderCustomerDto {
                id: order.customer_id().to_string(),
                name: contact.name().to_owned(),
                phone: contact.phone().to_string(),
                email: contact.email().map(ToString::to_string),
                address: contact.address().map(ToOwned::to_owned),
            },
            lines: order.lines().iter().map(LineDto::of).collect(),
            total: order.total().into(),
            payment: PaymentDto {
                method: order.payment().method().as_str().to_owned(),
                status: order.payment().status().as_str().to_owned(),
            },
            notes: order.notes().map(ToOwned::to_owned),
            history: order.history().iter().map(HistoryDto::of).collect(),
            placed_at: order.placed_at(),
            estimated_ready_at: order.estimated_ready_at(),
            late_at: order.late_at(),
            driver: order.driver().map(ToString::to_string),
            cancel_reason: order.cancel_reason().map(ToOwned::to_owned),
        }
    }
}

impl LineDto {
    fn of(line: &OrderLine) -> Self {
        Self {
            id: line.id().to_string(),
            pizza_id: line.pizza_id().to_string(),
            name: line.name().to_owned(),
            size: line.size().as_str().to_owned(),
            toppings: line.toppings().iter().map(ToString::to_string).collect(),
            quantity: line.quantity(),
            unit_price: line.unit_price().into(),
            line_total: line.line_total().into(),
        }
    }
}

impl HistoryDto {
    fn of(entry: &HistoryEntry) -> Self {
        Self {
            status: entry.status().as_str().to_owned(),
            at: entry.at(),
            by: entry.by().map(ToString::to_string),
        }
    }
}
