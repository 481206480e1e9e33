//! The menu: pizzas, sizes, toppings, and what they cost.
//!
//! A pizza is identified by the slug of the name it was created with, so two names that read alike are one pizza.
//! A rename keeps the id, because orders and links refer to it; the slug of the present name is kept beside it
//! as `name_key`, for a unique index that keeps names apart for good.

mod edition;
mod events;
mod house;
mod name;
mod pricing;
mod seeding;

use neuroglia::domain::{Aggregate, Root};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use edition::{MenuEdition, MenuEditionId};
pub use events::{PizzaCreated, PizzaPriceChanged, PizzaRemoved, PizzaUpdated};
pub use house::{HOUSE_TOPPINGS, house_menu};
pub use name::{NotASlug, NotATopping, PizzaId, Topping};
pub use pricing::{Size, TOPPING_PRICE, UnknownSize, unit_price};
pub use seeding::{Seeding, SeedingId};

use crate::money::{Money, MoneyError};
use crate::refusal::{Findings, Refusal};
use crate::stamp::Stamp;

/// A pizza that can be ordered, or could be if it were available.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pizza {
    id: PizzaId,
    name: String,
    name_key: PizzaId,
    description: String,
    base_price: Money,
    available: bool,
    toppings: Vec<Topping>,
    #[serde(skip)]
    root: Root,
}

/// What a manager says of a pizza, unjudged.
#[derive(Debug, Clone, PartialEq)]
pub struct PizzaDraft {
    /// The name, of which at least one Latin letter or digit is needed.
    pub name: String,
    /// The price when small and plain, or what is wrong with how it was written.
    pub base_price: Result<Money, Refusal>,
    /// What is on it; may be empty.
    pub description: String,
    /// Whether it can be ordered.
    pub available: bool,
    /// The toppings that may be added to it.
    pub toppings: Vec<String>,
}

/// A draft that was found right.
struct Details {
    name: String,
    name_key: PizzaId,
    description: String,
    base_price: Money,
    available: bool,
    toppings: Vec<Topping>,
}

impl Pizza {
    /// The most characters of a name.
    pub const NAME_CHARS_MAX: usize = 80;
    /// The most characters of a description.
    pub const DESCRIPTION_CHARS_MAX: usize = 1000;
    /// The most toppings that a pizza offers.
    pub const TOPPINGS_MAX: usize = 50;
    /// The greatest base price, which keeps every order far from the limits of [`Money`].
    pub const BASE_PRICE_MAX: Decimal = Decimal::from_parts(10_000_000, 0, 0, false, 0);

    /// The path of the name.
    pub const NAME_PATH: &'static str = "name";
    /// The path of the slug of the name, which is unique.
    pub const NAME_KEY_PATH: &'static str = "name_key";
    /// The path of whether it can be ordered.
    pub const AVAILABLE_PATH: &'static str = "available";

    /// A new pizza on the menu; its id is the slug of its name.
    ///
    /// # Errors
    /// When the draft is not right, with everything that is wrong.
    pub fn create(draft: PizzaDraft, stamp: Stamp) -> Result<Self, Refusal> {
        let details = draft.judged()?;
        let mut pizza = Self {
            id: details.name_key.clone(),
            name: details.name,
            name_key: details.name_key,
            description: details.description,
            base_price: details.base_price,
            available: details.available,
            toppings: details.toppings,
            root: Root::default(),
        };
        pizza.raise(PizzaCreated {
            pizza_id: pizza.id.clone(),
            name: pizza.name.clone(),
            base_price: pizza.base_price,
            available: pizza.available,
            at: stamp.at,
            by: stamp.by,
        });
        Ok(pizza)
    }

    /// Replaces what is said of the pizza; the same again changes nothing and raises nothing.
    ///
    /// # Errors
    /// When the draft is not right, with everything that is wrong; nothing has changed then.
    pub fn update(&mut self, draft: PizzaDraft, stamp: Stamp) -> Result<(), Refusal> {
        let details = draft.judged()?;
        let same = self.name == details.name
            && self.description == details.description
            && self.available == details.available
            && self.toppings == details.toppings;
        self.change_price(details.base_price, stamp.clone());
        if same {
            return Ok(());
        }
        self.name = details.name;
        self.name_key = details.name_key;
        self.description = details.description;
        self.available = details.available;
        self.toppings = details.toppings;
        self.raise(PizzaUpdated {
            pizza_id: self.id.clone(),
            name: self.name.clone(),
            available: self.available,
            at: stamp.at,
            by: stamp.by,
        });
        Ok(())
    }

    /// Takes the pizza off the menu: it cannot be ordered any more, and its document may be removed.
    pub fn withdraw(&mut self, stamp: Stamp) {
        self.available = false;
        self.raise(PizzaRemoved { pizza_id: self.id.clone(), at: stamp.at, by: stamp.by });
    }

    fn change_price(&mut self, base_price: Money, stamp: Stamp) {
        let old_price = std::mem::replace(&mut self.base_price, base_price);
        if old_price != base_price {
            self.raise(PizzaPriceChanged {
                pizza_id: self.id.clone(),
                old_price,
                new_price: base_price,
                at: stamp.at,
                by: stamp.by,
            });
        }
    }

    /// What one of it costs in this size with so many toppings.
    ///
    /// # Errors
    /// When the price would be more than [`Money`] holds.
    pub fn unit_price(&self, size: Size, toppings: usize) -> Result<Money, MoneyError> {
        unit_price(self.base_price, size, toppings)
    }

    /// Whether this topping may be added to it.
    pub fn offers(&self, topping: &Topping) -> bool {
        self.toppings.contains(topping)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is on it; may be empty.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Its price when small and plain.
    pub const fn base_price(&self) -> Money {
        self.base_price
    }

    /// Whether it can be ordered.
    pub const fn is_available(&self) -> bool {
        self.available
    }

    /// The toppings that may be added to it.
    pub fn toppings(&self) -> &[Topping] {
        &self.toppings
    }
}

impl Aggregate for Pizza {
    type Id = PizzaId;

    const COLLECTION: &'static str = "pizzas";

    fn id(&self) -> &PizzaId {
        &self.id
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}

impl PizzaDraft {
    fn judged(self) -> Result<Details, Refusal> {
        let mut findings = Findings::default();
        let name = findings.line("/name", &self.name, Pizza::NAME_CHARS_MAX);
        let name_key = PizzaId::from_name(&name);
        if name_key.is_none() && !name.is_empty() {
            findings.refuse("/name", "format", "must have at least one Latin letter or digit");
        }
        let base_price = findings.take(self.base_price);
        if let Some(price) = base_price {
            judge_price(price, &mut findings);
        }
        let description = findings.prose("/description", &self.description, Pizza::DESCRIPTION_CHARS_MAX);
        let toppings = judged_toppings(&self.toppings, &mut findings);
        findings.verdict()?;
        let name_key = name_key.expect("a name without a slug was refused");
        let base_price = base_price.expect("a price that is none was refused");
        Ok(Details { name, name_key, description, base_price, available: self.available, toppings })
    }
}

fn judge_price(price: Money, findings: &mut Findings) {
    if price.is_zero() || price.amount() > Pizza::BASE_PRICE_MAX {
        findings.refuse(
            "/base_price/amount",
            "range",
            format!("must be more than 0 and at most {}", Pizza::BASE_PRICE_MAX),
        );
    }
}

fn judged_toppings(names: &[String], findings: &mut Findings) -> Vec<Topping> {
    if names.len() > Pizza::TOPPINGS_MAX {
        findings.refuse(
            "/toppings",
            "max_items",
            format!("must have at most {} toppings", Pizza::TOPPINGS_MAX),
        );
        return Vec::new();
    }
    let mut toppings: Vec<Topping> = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let pointer = format!("/toppings/{index}");
        match name.parse() {
            Err(NotATopping) => findings.refuse(pointer, "format", NotATopping.to_string()),
            Ok(topping) if toppings.contains(&topping) => {
                findings.refuse(pointer, "duplicate", "must not be repeated");
            }
            Ok(topping) => toppings.push(topping),
        }
    }
    toppings
}

#[cfg(test)]
mod tests;
