//! Money on the wire: `{"amount": "12.99", "currency": "USD"}`.

use pizzeria_domain::money::Money;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use neuroglia::error::{Error, Violation};

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MoneyDto {
    /// The amount with two places, such as `12.99`.
    pub amount: String,
    /// The currency, as ISO 4217 has it.
    pub currency: String,
}

impl From<Money> for MoneyDto {
    fn from(money: Money) -> Self {
        Self { amount: format!("{:.2}", money.amount()), currency: money.currency().to_string() }
    }
}

impl MoneyDto {
    /// The amount at this place of a request.
    ///
    /// # Errors
    /// When it is not an amount of a known currency, with the place.
    pub fn parse(&self, pointer: &str) -> Result<Money, Error> {
        let violation = |part: &str, detail: String| {
            Error::violations(vec![Violation {
                pointer: format!("{pointer}/{part}"),
                code: "format".into(),
                detail: detail.into(),
            }])
        };
        let currency =
            self.currency.parse().map_err(|problem| violation("currency", format!("{problem}")))?;
        Money::parse(&self.amount, currency).map_err(|problem| violation("amount", problem.to_string()))
    }
}
