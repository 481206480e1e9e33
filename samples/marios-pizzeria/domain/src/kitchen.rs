//! The kitchen: how many orders cook at once.
//!
//! There is one kitchen, kept as one document. An order that starts to cook takes a place here in the same unit
//! of work, so the version of this document keeps two chefs from taking the last place. Which order is next is
//! not kept: the queue is a query over confirmed orders, first in, first out by the time of confirmation.
//!
//! The capacity is a setting and not part of the document, so that it can change between two starts. Orders that
//! cook already keep their places when it shrinks.

use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroU32;

use neuroglia::domain::{Aggregate, Root};
use neuroglia::error::Error;
use serde::{Deserialize, Serialize};

use crate::order::OrderId;

/// The id of the one kitchen, which is always `kitchen`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct KitchenId;

impl fmt::Display for KitchenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("kitchen")
    }
}

/// The places of the kitchen that are taken.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Kitchen {
    cooking: Vec<OrderId>,
    #[serde(skip)]
    root: Root,
}

impl Kitchen {
    /// Its id.
    pub const ID: KitchenId = KitchenId;

    /// Gives the order a place.
    ///
    /// # Errors
    /// When every place is taken, or the order has one; nothing has changed then.
    pub fn start(&mut self, order: OrderId, capacity: NonZeroU32) -> Result<(), KitchenError> {
        if self.cooking.contains(&order) {
            return Err(KitchenError::AlreadyCooking { order });
        }
        if self.in_use() >= capacity.get() as usize {
            return Err(KitchenError::Full { capacity });
        }
        self.cooking.push(order);
        Ok(())
    }

    /// Has exactly these orders cook, however many places there are; those that had a place keep their turn. Gives
    /// those that got a place, and those that lost theirs.
    pub fn correct(&mut self, cooking: &[OrderId]) -> (Vec<OrderId>, Vec<OrderId>) {
        let mut seen = HashSet::new();
        let (kept, lost) = std::mem::take(&mut self.cooking)
            .into_iter()
            .partition::<Vec<_>, _>(|order| cooking.contains(order) && seen.insert(*order));
        let got: Vec<_> = cooking.iter().copied().filter(|order| seen.insert(*order)).collect();
        self.cooking = kept.into_iter().chain(got.iter().copied()).collect();
        (got, lost)
    }

    /// Frees the order's place; tells whether it had one.
    pub fn release(&mut self, order: OrderId) -> bool {
        let before = self.cooking.len();
        self.cooking.retain(|cooking| *cooking != order);
        self.cooking.len() < before
    }

    /// The orders that have a place, in the order in which they started.
    pub fn cooking(&self) -> &[OrderId] {
        &self.cooking
    }

    /// How many places are taken.
    pub fn in_use(&self) -> usize {
        self.cooking.len()
    }
}

impl Aggregate for Kitchen {
    type Id = KitchenId;

    const COLLECTION: &'static str = "kitchens";

    fn id(&self) -> &KitchenId {
        &Self::ID
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}

/// Why an order gets no place in the kitchen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KitchenError {
    /// Every place is taken.
    Full {
        /// How many places there are.
        capacity: NonZeroU32,
    },
    /// The order has a place.
    AlreadyCooking {
        /// The order.
        order: OrderId,
    },
}

impl KitchenError {
    /// The stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "kitchen.full",
            Self::AlreadyCooking { .. } => "kitchen.already_cooking",
        }
    }
}

impl fmt::Display for KitchenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { capacity } => {
                write!(
                    f,
                    "the kitchen cooks {capacity} at once; one order must be ready before another starts"
                )
            }
            Self::AlreadyCooking { order } => write!(f, "order {order} has a place in the kitchen already"),
        }
    }
}

impl std::error::Error for KitchenError {}

impl From<KitchenError> for Error {
    fn from(error: KitchenError) -> Self {
        Self::conflict(error.code(), error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use neuroglia::id::Ids;

    use super::*;

    const THREE: NonZeroU32 = NonZeroU32::new(3).expect("three is not zero");

    #[test]
    fn the_fourth_of_three_waits_until_one_is_ready() {
        let ids = Ids::sequence();
        let orders: Vec<OrderId> = (0..4).map(|_| ids.next()).collect();
        let mut kitchen = Kitchen::default();
        for order in &orders[..3] {
            kitchen.start(*order, THREE).expect("a free place");
        }
        let before = kitchen.clone();
        let full = kitchen.start(orders[3], THREE).expect_err("no place");
        assert_eq!(full, KitchenError::Full { capacity: THREE });
        assert_eq!(Error::from(full).kind().status(), 409);
        assert_eq!(kitchen, before);

        assert!(kitchen.release(orders[1]));
        kitchen.start(orders[3], THREE).expect("the freed place");
        assert_eq!(kitchen.cooking(), [orders[0], orders[2], orders[3]]);
    }

    #[test]
    fn an_order_has_one_place() {
        let order: OrderId = Ids::sequence().next();
        let mut kitchen = Kitchen::default();
        kitchen.start(order, THREE).expect("a free place");
        assert_eq!(kitchen.start(order, THREE), Err(KitchenError::AlreadyCooking { order }));
        assert!(kitchen.release(order));
        assert!(!kitchen.release(order));
        assert_eq!(kitchen.in_use(), 0);
    }

    #[test]
    fn a_smaller_capacity_takes_no_place_away() {
        let ids = Ids::sequence();
        let mut kitchen = Kitchen::default();
        for _ in 0..3 {
            kitchen.start(ids.next(), THREE).expect("a free place");
        }
        assert!(kitchen.start(ids.next(), NonZeroU32::MIN).is_err());
        assert_eq!(kitchen.in_use(), 3);
    }

    #[test]
    fn a_document_reads_back_what_it_wrote() {
        let mut kitchen = Kitchen::default();
        kitchen.start(Ids::sequence().next(), THREE).expect("a free place");
        let document = serde_json::to_string(&kitchen).expect("a document");
        assert_eq!(serde_json::from_str::<Kitchen>(&document).expect("a kitchen"), kitchen);
        assert_eq!(kitchen.id().to_string(), "kitchen");
    }
}
