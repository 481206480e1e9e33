//! The one pricing policy, for the menu and for orders.
//!
//! A unit price is base × size + 2.50 for each topping, rounded once, half to even. What is shown on the menu
//! is therefore what an order pays, and quantity × unit price is exact.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::money::{Money, MoneyError};

/// What one topping costs, in the currency of the pizza.
pub const TOPPING_PRICE: Decimal = Decimal::from_parts(250, 0, 0, false, 2);

/// How large a pizza is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// The size that a base price is for.
    Small,
    /// 1.3 times the base price.
    Medium,
    /// 1.6 times the base price.
    Large,
}

impl Size {
    /// Every size, from small to large.
    pub const ALL: [Self; 3] = [Self::Small, Self::Medium, Self::Large];

    /// By what the base price is multiplied.
    pub const fn factor(self) -> Decimal {
        let tenths = match self {
            Self::Small => 10,
            Self::Medium => 13,
            Self::Large => 16,
        };
        Decimal::from_parts(tenths, 0, 0, false, 1)
    }

    /// Its name on the wire and in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Size {
    type Err = UnknownSize;

    fn from_str(text: &str) -> Result<Self, UnknownSize> {
        Self::ALL.into_iter().find(|size| size.as_str() == text).ok_or(UnknownSize)
    }
}

/// A text that names no size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownSize;

impl fmt::Display for UnknownSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be small, medium or large")
    }
}

impl std::error::Error for UnknownSize {}

/// What one pizza of this base price and size with so many toppings costs.
///
/// # Errors
/// When the price would be a trillion or more.
pub fn unit_price(base: Money, size: Size, toppings: usize) -> Result<Money, MoneyError> {
    let sized = base.amount().checked_mul(size.factor());
    let topped = TOPPING_PRICE.checked_mul(Decimal::from(toppings));
    let exact = sized.zip(topped).and_then(|(sized, topped)| sized.checked_add(topped));
    Money::rounded(exact.ok_or(MoneyError::TooLarge)?, base.currency())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    #[test]
    fn prices_follow_size_and_toppings() {
        let table = [
            ("12.99", Size::Small, 0, "12.99"),
            ("12.99", Size::Medium, 0, "16.89"),
            ("12.99", Size::Large, 0, "20.78"),
            ("12.99", Size::Medium, 1, "19.39"),
            ("12.99", Size::Small, 10, "37.99"),
            // 0.05 × 1.3 = 0.065 and 0.15 × 1.3 = 0.195: halves go to the even cent.
            ("0.05", Size::Medium, 0, "0.06"),
            ("0.15", Size::Medium, 0, "0.20"),
        ];
        for (base, size, toppings, expected) in table {
            let base = Money::parse(base, Currency::USD).expect("an amount");
            let price = unit_price(base, size, toppings).expect("a small price");
            assert_eq!(price.amount().to_string(), expected, "{base} {size} {toppings}");
        }
    }

    #[test]
    fn a_size_reads_its_own_name_only() {
        for size in Size::ALL {
            assert_eq!(size.as_str().parse(), Ok(size));
        }
        for text in ["", "Small", "xl", "small "] {
            assert_eq!(text.parse::<Size>(), Err(UnknownSize));
        }
    }

    #[test]
    fn an_absurd_number_of_toppings_is_an_error_and_no_panic() {
        let base = Money::parse("12.99", Currency::USD).expect("an amount");
        assert_eq!(unit_price(base, Size::Large, usize::MAX), Err(MoneyError::TooLarge));
    }
}
