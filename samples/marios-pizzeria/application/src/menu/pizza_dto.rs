//! A pizza on the wire.

use neuroglia::error::{Error, Result};
use pizzeria_domain::menu::{Pizza, PizzaDraft, Size};
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::house::House;
use crate::money::MoneyDto;

/// A pizza as the menu shows it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PizzaDto {
    /// The slug of its name.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What is on it.
    pub description: String,
    /// Whether it can be ordered.
    pub available: bool,
    /// The toppings that may be added.
    pub toppings: Vec<String>,
    /// Its price when small and plain.
    pub base_price: MoneyDto,
    /// Its price in each size, without toppings.
    pub prices: PricesDto,
    /// How often it was changed.
    pub version: u64,
}

/// The price of a pizza in each size.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PricesDto {
    /// Small.
    pub small: MoneyDto,
    /// Medium.
    pub medium: MoneyDto,
    /// Large.
    pub large: MoneyDto,
}

impl PizzaDto {
    /// The pizza as the menu shows it.
    ///
    /// # Errors
    /// When a price is more than money can hold, which the menu's own limits rule out.
    pub fn of(pizza: &Pizza) -> Result<Self> {
        use neuroglia::domain::Aggregate;
        let price = |size| pizza.unit_price(size, 0).map(MoneyDto::from).map_err(Error::from);
        Ok(Self {
            id: pizza.id().to_string(),
            name: pizza.name().to_owned(),
            description: pizza.description().to_owned(),
            available: pizza.is_available(),
            toppings: pizza.toppings().iter().map(ToString::to_string).collect(),
            base_price: pizza.base_price().into(),
            prices: PricesDto {
                small: price(Size::Small)?,
                medium: price(Size::Medium)?,
                large: price(Size::Large)?,
            },
            version: pizza.version(),
        })
    }
}

/// What a manager writes of a pizza. What else the menu shows of it may come along, so that it can be sent back as it was
/// read, and is passed over.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WritePizza {
    /// Its name, at most 80 characters.
    pub name: String,
    /// Its price when small and plain.
    pub base_price: MoneyDto,
    /// What is on it, at most 1000 characters.
    #[serde(default)]
    pub description: String,
    /// Whether it can be ordered.
    #[serde(default = "yes")]
    pub available: bool,
    /// The toppings that may be added.
    #[serde(default)]
    pub toppings: Vec<String>,
    #[schemars(skip)]
    #[serde(default, rename = "id")]
    _id: IgnoredAny,
    #[schemars(skip)]
    #[serde(default, rename = "prices")]
    _prices: IgnoredAny,
    #[schemars(skip)]
    #[serde(default, rename = "version")]
    _version: IgnoredAny,
}

const fn yes() -> bool {
    true
}

impl WritePizza {
    /// What the domain judges, priced as the house does.
    pub fn into_draft(self, house: &House) -> PizzaDraft {
        let price = self.base_price.parse("/base_price");
        PizzaDraft {
            base_price: price.and_then(|price| house.accept_currency(price, "/base_price")),
            name: self.name,
            description: self.description,
            available: self.available,
            toppings: self.toppings,
        }
    }
}
