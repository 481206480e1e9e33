//! Which edition of the menu is the one that holds.
//!
//! Every change of the menu makes a new one, in the same unit of work. Whoever has kept a menu together with its edition
//! can tell by this one record whether it still holds.

use std::fmt;

use neuroglia::domain::{Aggregate, Root};
use serde::{Deserialize, Serialize};

/// The id of the one record, which is always `menu`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MenuEditionId;

impl fmt::Display for MenuEditionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("menu")
    }
}

/// The edition that holds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MenuEdition {
    name: String,
    #[serde(skip)]
    root: Root,
}

impl MenuEdition {
    /// Its id.
    pub const ID: MenuEditionId = MenuEditionId;

    /// Its name, which no other edition has, in whatever database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Lets another one hold from now on; nobody has used its name before.
    pub fn replace(&mut self, name: String) {
        self.name = name;
    }
}

impl Aggregate for MenuEdition {
    type Id = MenuEditionId;

    const COLLECTION: &'static str = "menu_editions";

    fn id(&self) -> &MenuEditionId {
        &Self::ID
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}
