//! Money on the wire: `{"amount": "12.99", "currency": "USD"}`.

use pizzeria_domain::Refusal;
use pizzeria_domain::money::{Currency, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// When it is not an amount of a currency, with the place of each part that is wrong.
    pub fn parse(&self, pointer: &str) -> Result<Money, Refusal> {
        let wrong = |part: &str, detail: String| Refusal::at(format!("{pointer}/{part}"), "format", detail);
        let amount = |currency| {
            Money::parse(&self.amount, currency).map_err(|problem| wrong("amount", problem.to_string()))
        };
        match self.currency.parse::<Currency>() {
            Ok(currency) => amount(currency),
            Err(problem) => {
                let refusal = wrong("currency", problem.to_string());
                // Whether the amount is one does not depend on the currency.
                Err(match amount(Currency::default()) {
                    Ok(_) => refusal,
                    Err(other) => refusal.and(other),
                })
            }
        }
    }
}
