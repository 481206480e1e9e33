//! What happens to the menu.

use neuroglia::clock::Timestamp;
use neuroglia::domain::DomainEvent;
use serde::{Deserialize, Serialize};

use super::PizzaId;
use crate::money::Money;
use crate::user::UserId;

/// A pizza was added to the menu.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PizzaCreated {
    /// The pizza.
    pub pizza_id: PizzaId,
    /// Its name.
    pub name: String,
    /// Its price when small and plain.
    pub base_price: Money,
    /// Whether it can be ordered.
    pub available: bool,
    /// When.
    pub at: Timestamp,
    /// Who added it.
    pub by: Option<UserId>,
}

impl DomainEvent for PizzaCreated {
    const NAME: &'static str = "pizza.created";
}

/// A pizza costs something else from now on; orders that were placed keep their prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PizzaPriceChanged {
    /// The pizza.
    pub pizza_id: PizzaId,
    /// The base price that it had.
    pub old_price: Money,
    /// The base price that it has.
    pub new_price: Money,
    /// When.
    pub at: Timestamp,
    /// Who changed it.
    pub by: Option<UserId>,
}

impl DomainEvent for PizzaPriceChanged {
    const NAME: &'static str = "pizza.price.changed";
}

/// Something else than the price of a pizza changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PizzaUpdated {
    /// The pizza.
    pub pizza_id: PizzaId,
    /// Its name.
    pub name: String,
    /// Whether it can be ordered.
    pub available: bool,
    /// When.
    pub at: Timestamp,
    /// Who changed it.
    pub by: Option<UserId>,
}

impl DomainEvent for PizzaUpdated {
    const NAME: &'static str = "pizza.updated";
}

/// A pizza was taken off the menu.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PizzaRemoved {
    /// The pizza.
    pub pizza_id: PizzaId,
    /// When.
    pub at: Timestamp,
    /// Who removed it.
    pub by: Option<UserId>,
}

impl DomainEvent for PizzaRemoved {
    const NAME: &'static str = "pizza.removed";
}
