//! Which pizzas of the house were ever offered to the menu.
//!
//! The menu alone cannot tell a pizza that was never on it from one that the manager took off. This record can, and
//! so a seeding may run at every start without bringing back what somebody removed.

use std::fmt;

use neuroglia::domain::{Aggregate, Root};
use serde::{Deserialize, Serialize};

use super::PizzaId;

/// The id of the one seeding, which is always `menu`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SeedingId;

impl fmt::Display for SeedingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("menu")
    }
}

/// The pizzas of the house that have had their turn.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Seeding {
    offered: Vec<PizzaId>,
    #[serde(skip)]
    root: Root,
}

impl Seeding {
    /// Its id.
    pub const ID: SeedingId = SeedingId;

    /// Offers a pizza to the menu; tells whether that is its first time.
    pub fn offer(&mut self, pizza: &PizzaId) -> bool {
        let first = !self.offered.contains(pizza);
        if first {
            self.offered.push(pizza.clone());
        }
        first
    }
}

impl Aggregate for Seeding {
    type Id = SeedingId;

    const COLLECTION: &'static str = "seedings";

    fn id(&self) -> &SeedingId {
        &Self::ID
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}
