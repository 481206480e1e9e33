//! What the pizzeria has decided for itself, from its settings.

use std::num::NonZeroU32;

use neuroglia::mail::EmailAddress;
use pizzeria_domain::Refusal;
use pizzeria_domain::money::{Currency, Money};
use pizzeria_domain::order::PaymentMethod;

/// The house's own rules; a service of the application.
#[derive(Debug, Clone)]
pub struct House {
    /// In what the menu is priced.
    pub currency: Currency,
    /// How many orders cook at once.
    pub kitchen_capacity: NonZeroU32,
    /// The payment methods that are taken: cash only, while no gateway is attached.
    pub accepted: Vec<PaymentMethod>,
    /// Who is told each morning how the day before went.
    pub report_to: Option<EmailAddress>,
}

impl House {
    /// The price of the menu at this place of a request, when it is in the house's currency.
    ///
    /// # Errors
    /// When it is in another.
    pub fn accept_currency(&self, price: Money, pointer: &str) -> Result<Money, Refusal> {
        if price.currency() == self.currency {
            return Ok(price);
        }
        let detail = format!("must be {}, the currency of the menu", self.currency);
        Err(Refusal::at(format!("{pointer}/currency"), "currency", detail))
    }
}
