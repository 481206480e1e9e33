//! What the pizzeria has decided for itself, from its settings.

use std::num::NonZeroU32;

use neuroglia::mail::EmailAddress;
use pizzeria_domain::Refusal;
use pizzeria_domain::money::{Currency, Money};
use pizzeria_domain::order::PaymentMethod;
use pizzeria_domain::user::UserId;

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
    /// What the ids of those end with whose accounts are at an outside issuer, such as `@id.example/realms/pizza`, when
    /// there is one.
    pub outside_accounts: Option<String>,
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

    /// Whether somebody with this id has an account at the outside issuer, if anybody has it.
    pub fn is_outside(&self, user: &UserId) -> bool {
        let place = self.outside_accounts.as_deref();
        place.and_then(|place| user.as_str().strip_suffix(place)).is_some_and(|subject| !subject.is_empty())
    }
}
