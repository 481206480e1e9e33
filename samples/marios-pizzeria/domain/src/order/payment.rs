//! How an order is paid, and how far that has come.
//!
//! Cash is due until the order is handed over. A card is authorised when the order is placed, captured after
//! delivery and refunded after a cancellation; the gateway's answers and call-backs may come twice and out of
//! order, so the table of [`PaymentStatus::may_become`] allows to skip ahead, and never to go back.
//!
//! After a decline the customer may pay otherwise. That is another attempt, with a number: what the gateway says, late, of an
//! attempt before it is not taken for an answer to this one.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

/// With what an order is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentMethod {
    /// At the door.
    Cash,
    /// By credit card, through the payment gateway.
    CreditCard,
    /// By debit card, through the payment gateway.
    DebitCard,
}

impl PaymentMethod {
    /// Every method.
    pub const ALL: [Self; 3] = [Self::Cash, Self::CreditCard, Self::DebitCard];

    /// Its name on the wire and in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cash => "cash",
            Self::CreditCard => "credit_card",
            Self::DebitCard => "debit_card",
        }
    }

    /// Whether it goes through the payment gateway.
    pub const fn is_card(self) -> bool {
        !matches!(self, Self::Cash)
    }
}

impl fmt::Display for PaymentMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PaymentMethod {
    type Err = UnknownPaymentMethod;

    fn from_str(text: &str) -> Result<Self, UnknownPaymentMethod> {
        Self::ALL.into_iter().find(|method| method.as_str() == text).ok_or(UnknownPaymentMethod)
    }
}

/// A text that names no payment method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownPaymentMethod;

impl fmt::Display for UnknownPaymentMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be cash, credit_card or debit_card")
    }
}

impl std::error::Error for UnknownPaymentMethod {}

/// How far the payment of an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// To be paid in cash; of a cancelled order it was never taken.
    Due,
    /// The gateway has not answered yet.
    Authorizing,
    /// The gateway holds the amount for us.
    Authorized,
    /// The amount is ours.
    Captured,
    /// The customer has the amount back, or was never charged.
    Refunded,
    /// The gateway declined; the order stays pending until it is paid otherwise or expires.
    Failed,
}

impl PaymentStatus {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Due, Self::Authorizing, Self::Authorized, Self::Captured, Self::Refunded, Self::Failed];

    /// Its name on the wire and in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Authorizing => "authorizing",
            Self::Authorized => "authorized",
            Self::Captured => "captured",
            Self::Refunded => "refunded",
            Self::Failed => "failed",
        }
    }

    /// Whether the payment may go from here to `next` by what the gateway says.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Due => matches!(next, Self::Captured),
            Self::Authorizing => {
                matches!(next, Self::Authorized | Self::Captured | Self::Refunded | Self::Failed)
            }
            Self::Authorized => matches!(next, Self::Captured | Self::Refunded | Self::Failed),
            Self::Captured => matches!(next, Self::Refunded),
            Self::Failed | Self::Refunded => false,
        }
    }

    /// Whether the kitchen may rely on being paid.
    pub const fn is_assured(self) -> bool {
        matches!(self, Self::Due | Self::Authorized | Self::Captured)
    }
}

impl fmt::Display for PaymentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A gateway's token for a card, such as `tok_visa`; never a card's number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PaymentSource(String);

impl PaymentSource {
    /// The most bytes of a token.
    pub const BYTES_MAX: usize = 255;

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PaymentSource {
    type Err = NotAPaymentSource;

    fn from_str(text: &str) -> Result<Self, NotAPaymentSource> {
        let grouping = |byte: u8| matches!(byte, b' ' | b'-' | b'.');
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        let only_digits = text.bytes().all(|byte| byte.is_ascii_digit() || grouping(byte));
        if only_digits && digits >= CARD_DIGITS_MIN {
            return Err(NotAPaymentSource::CardNumber);
        }
        let token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if text.is_empty() || text.len() > Self::BYTES_MAX || !text.bytes().all(token) {
            return Err(NotAPaymentSource::Malformed);
        }
        Ok(Self(text.to_owned()))
    }
}

/// The fewest digits that, with nothing else, are taken for the number of a card.
const CARD_DIGITS_MIN: usize = 12;

impl TryFrom<String> for PaymentSource {
    type Error = NotAPaymentSource;

    fn try_from(text: String) -> Result<Self, NotAPaymentSource> {
        text.parse()
    }
}

impl fmt::Display for PaymentSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no gateway's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAPaymentSource {
    /// It has the look of a card's number, which the pizzeria never takes.
    CardNumber,
    /// It is empty, too long, or has other characters than a token.
    Malformed,
}

impl NotAPaymentSource {
    /// The stable code of the rule.
    pub const fn code(self) -> &'static str {
        match self {
            Self::CardNumber => "payment.card_number",
            Self::Malformed => "format",
        }
    }
}

impl fmt::Display for NotAPaymentSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CardNumber => f.write_str("must be a token of the payment gateway, never a card number"),
            Self::Malformed => {
                f.write_str("must be a token of letters, digits, underscores, hyphens and dots")
            }
        }
    }
}

impl std::error::Error for NotAPaymentSource {}

/// How a customer wants to pay, unjudged.
///
/// The places in a [`Refusal`] of it are those of a request's body with these names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentDraft {
    /// With what it is paid.
    pub payment_method: String,
    /// The gateway's token, when it is paid by card.
    pub payment_source: Option<String>,
}

impl PaymentDraft {
    /// Judges the draft; `accepted` are the payment methods that the pizzeria takes at the moment.
    ///
    /// # Errors
    /// When something in it is not right, with everything that is wrong.
    pub fn judged(&self, accepted: &[PaymentMethod]) -> Result<Payment, Refusal> {
        let refused = |code, detail| Err(Refusal::at("/payment_method", code, detail));
        let method = match self.payment_method.parse::<PaymentMethod>() {
            Err(unknown) => return refused("payment.unknown", unknown.to_string()),
            Ok(method) if !accepted.contains(&method) => {
                return refused("payment.not_accepted", format!("{method} is not accepted at the moment"));
            }
            Ok(method) => method,
        };
        let wrong_source = |code, detail: Cow<'static, str>| Refusal::at("/payment_source", code, detail);
        match (method, self.payment_source.as_deref().map(str::parse::<PaymentSource>)) {
            (PaymentMethod::Cash, None) => Ok(Payment::cash()),
            (PaymentMethod::Cash, Some(_)) => {
                Err(wrong_source("format", "must be left out when paying in cash".into()))
            }
            (_, None) => Err(wrong_source("required", "must be given when paying by card".into())),
            (_, Some(Err(wrong))) => Err(wrong_source(wrong.code(), wrong.to_string().into())),
            (card, Some(Ok(source))) => Ok(Payment::card(card, source)),
        }
    }
}

/// The payment of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    pub(super) method: PaymentMethod,
    pub(super) status: PaymentStatus,
    pub(super) source: Option<PaymentSource>,
    pub(super) reference: Option<String>,
    #[serde(default = "Payment::first_attempt")]
    pub(super) attempt: u32,
}

impl Payment {
    /// The number of the first attempt to pay.
    pub const FIRST_ATTEMPT: u32 = 1;

    const fn first_attempt() -> u32 {
        Self::FIRST_ATTEMPT
    }

    /// Cash at the door.
    pub const fn cash() -> Self {
        Self {
            method: PaymentMethod::Cash,
            status: PaymentStatus::Due,
            source: None,
            reference: None,
            attempt: Self::FIRST_ATTEMPT,
        }
    }

    const fn card(method: PaymentMethod, source: PaymentSource) -> Self {
        Self {
            method,
            status: PaymentStatus::Authorizing,
            source: Some(source),
            reference: None,
            attempt: Self::FIRST_ATTEMPT,
        }
    }

    /// With what it is paid.
    pub const fn method(&self) -> PaymentMethod {
        self.method
    }

    /// How far it has come.
    pub const fn status(&self) -> PaymentStatus {
        self.status
    }

    /// The gateway's token for the card.
    pub const fn source(&self) -> Option<&PaymentSource> {
        self.source.as_ref()
    }

    /// The gateway's id of this payment, once it has given one.
    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// Which attempt to pay the order this is; every one before it was declined.
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Whether the gateway's payment with this id, of which it says that it failed, may be one of the attempts before.
    pub fn may_have_failed_before(&self, reference: Option<&str>) -> bool {
        self.attempt > Self::FIRST_ATTEMPT && (reference.is_none() || reference != self.reference())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_number_is_never_a_source() {
        let table = [
            ("tok_visa", Ok(())),
            ("pm_1N2x-3.y", Ok(())),
            ("4242424242424242", Err(NotAPaymentSource::CardNumber)),
            ("4242 4242 4242 4242", Err(NotAPaymentSource::CardNumber)),
            ("4242-4242-4242-4242", Err(NotAPaymentSource::CardNumber)),
            ("4242.4242.4242", Err(NotAPaymentSource::CardNumber)),
            ("0199a1b2-1234-7123-8123-123456789012", Ok(())),
            ("", Err(NotAPaymentSource::Malformed)),
            ("tok visa", Err(NotAPaymentSource::Malformed)),
            ("tok\n", Err(NotAPaymentSource::Malformed)),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<PaymentSource>().map(drop), expected, "{text:?}");
        }
    }

    #[test]
    fn nothing_becomes_what_it_is_or_leaves_an_end_by_what_the_gateway_says() {
        use PaymentStatus::{Due, Failed, Refunded};
        for status in PaymentStatus::ALL {
            assert!(!status.may_become(status), "{status}");
            assert!(!Refunded.may_become(status) && !Failed.may_become(status), "{status}");
            assert!(!status.may_become(Due), "{status}");
        }
    }

    #[test]
    fn a_state_has_one_name() {
        for status in PaymentStatus::ALL {
            assert_eq!(serde_json::to_value(status).expect("json"), status.as_str());
        }
    }

    #[test]
    fn a_decline_before_is_told_from_the_failure_of_this_attempt() {
        let source: PaymentSource = "tok_visa".parse().expect("a token");
        let first = Payment::card(PaymentMethod::CreditCard, source);
        assert!(!first.may_have_failed_before(None) && !first.may_have_failed_before(Some("pay-1")));
        let unanswered = Payment { attempt: 2, ..first };
        assert!(unanswered.may_have_failed_before(None) && unanswered.may_have_failed_before(Some("pay-1")));
        let answered = Payment { reference: Some("pay-2".to_owned()), ..unanswered };
        assert!(answered.may_have_failed_before(Some("pay-1")));
        assert!(!answered.may_have_failed_before(Some("pay-2")));
    }

    #[test]
    fn a_payment_from_before_there_were_attempts_is_the_first() {
        let earlier =
            serde_json::json!({"method": "cash", "status": "due", "source": null, "reference": null});
        assert_eq!(serde_json::from_value::<Payment>(earlier).expect("a payment"), Payment::cash());
    }

    #[test]
    fn a_method_reads_its_own_name_only() {
        for method in PaymentMethod::ALL {
            assert_eq!(method.as_str().parse(), Ok(method));
            assert_eq!(serde_json::to_value(method).expect("json"), method.as_str());
        }
        assert_eq!("Cash".parse::<PaymentMethod>(), Err(UnknownPaymentMethod));
    }
}
