//! Money: an amount of two places in one currency.
//!
//! An amount is never negative, always has exactly two places, and stays below a trillion, so neither sums nor
//! texts of it can surprise. Every operation that could leave those bounds, or mix two currencies, is a
//! `Result`. Only [`Money::rounded`] rounds, half to even, and only the pricing policy calls it, once per unit
//! price; quantities and totals are exact from there on.
//!
//! In JSON it is `{"amount": "12.99", "currency": "USD"}`: the amount is text, because a JSON number is a binary
//! fraction to most readers.

use std::fmt;
use std::str::FromStr;

use neuroglia::error::Error;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

/// A currency by its ISO 4217 code: three upper-case letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// The dollar of the United States, which the pizzeria uses unless its settings say otherwise.
    pub const USD: Self = Self(*b"USD");

    /// Its code.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a currency consists of ASCII letters")
    }
}

impl Default for Currency {
    fn default() -> Self {
        Self::USD
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_uppercase) => Ok(Self(code)),
            _ => Err(MoneyError::CurrencyMalformed),
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = MoneyError;

    fn try_from(text: String) -> Result<Self, MoneyError> {
        text.parse()
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An amount of money: zero or more, two places, one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "MoneyText")]
pub struct Money {
    amount: Decimal,
    currency: Currency,
}

/// The digits that an amount may have before its point.
const WHOLE_DIGITS_MAX: usize = 12;

/// The greatest amount, in hundredths.
const MAX_HUNDREDTHS: i64 = 99_999_999_999_999;

impl Money {
    /// The places after the point.
    pub const PLACES: u32 = 2;

    /// Nothing, in this currency.
    pub const fn zero(currency: Currency) -> Self {
        Self { amount: Decimal::from_parts(0, 0, 0, false, Self::PLACES), currency }
    }

    /// This amount as it stands.
    ///
    /// # Errors
    /// When it is negative, has more than two places, or is a trillion or more.
    pub fn new(amount: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        if amount.scale() > Self::PLACES {
            return Err(MoneyError::TooManyPlaces);
        }
        Self::rounded(amount, currency)
    }

    /// This amount, rounded half to even to two places.
    ///
    /// # Errors
    /// When it is negative, or a trillion or more.
    pub fn rounded(amount: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        if amount.is_sign_negative() && !amount.is_zero() {
            return Err(MoneyError::Negative);
        }
        let mut amount = amount.round_dp_with_strategy(Self::PLACES, RoundingStrategy::MidpointNearestEven);
        if amount > Decimal::new(MAX_HUNDREDTHS, Self::PLACES) {
            return Err(MoneyError::TooLarge);
        }
        amount.rescale(Self::PLACES);
        amount.set_sign_positive(true);
        Ok(Self { amount, currency })
    }

    /// Reads an amount such as `12.99`, `12.9` or `12`.
    ///
    /// Digits with at most one point are an amount; signs, spaces, separators, exponents, a bare point and
    /// leading zeros are not.
    ///
    /// # Errors
    /// When the text is not an amount, or not one that [`Money::new`] takes.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let (unsigned, negative) = match text.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (whole, places) = match unsigned.split_once('.') {
            Some((whole, places)) => (whole, Some(places)),
            None => (unsigned, None),
        };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if !digits(whole) || leading_zero || !places.is_none_or(digits) {
            return Err(MoneyError::Malformed);
        }
        if negative {
            return Err(MoneyError::Negative);
        }
        if places.is_some_and(|places| places.len() > Self::PLACES as usize) {
            return Err(MoneyError::TooManyPlaces);
        }
        if whole.len() > WHOLE_DIGITS_MAX {
            return Err(MoneyError::TooLarge);
        }
        let amount = Decimal::from_str_exact(text).map_err(|_| MoneyError::Malformed)?;
        Self::new(amount, currency)
    }

    /// The sum of these, which is zero in `currency` when there are none.
    ///
    /// # Errors
    /// When one has another currency, or the sum is a trillion or more.
    pub fn sum(currency: Currency, items: impl IntoIterator<Item = Self>) -> Result<Self, MoneyError> {
        items.into_iter().try_fold(Self::zero(currency), Self::checked_add)
    }

    /// Both together.
    ///
    /// # Errors
    /// When their currencies differ, or the sum is a trillion or more.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch { left: self.currency, right: other.currency });
        }
        let sum = self.amount.checked_add(other.amount).ok_or(MoneyError::TooLarge)?;
        Self::new(sum, self.currency)
    }

    /// So many times this.
    ///
    /// # Errors
    /// When the product is a trillion or more.
    pub fn checked_mul(self, times: u32) -> Result<Self, MoneyError> {
        let product = self.amount.checked_mul(Decimal::from(times)).ok_or(MoneyError::TooLarge)?;
        Self::new(product, self.currency)
    }

    /// The amount; its scale is always two.
    pub const fn amount(&self) -> Decimal {
        self.amount
    }

    /// The currency.
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// Whether it is nothing.
    pub const fn is_zero(&self) -> bool {
        self.amount.is_zero()
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut money = serializer.serialize_struct("Money", 2)?;
        money.serialize_field("amount", &format_args!("{}", self.amount))?;
        money.serialize_field("currency", &self.currency)?;
        money.end()
    }
}

/// Money as it stands in a document, before it is judged.
#[derive(Deserialize)]
#[serde(rename = "Money", deny_unknown_fields)]
struct MoneyText {
    amount: String,
    currency: Currency,
}

impl TryFrom<MoneyText> for Money {
    type Error = MoneyError;

    fn try_from(text: MoneyText) -> Result<Self, MoneyError> {
        Self::parse(&text.amount, text.currency)
    }
}

/// Why something is not an amount of money, or cannot become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MoneyError {
    /// The text is not a decimal number.
    Malformed,
    /// It is less than zero.
    Negative,
    /// It has more than two places.
    TooManyPlaces,
    /// It is a trillion or more.
    TooLarge,
    /// The text is not a currency's code.
    CurrencyMalformed,
    /// Two currencies do not add.
    CurrencyMismatch {
        /// The currency of the first amount.
        left: Currency,
        /// The currency of the second amount.
        right: Currency,
    },
}

impl MoneyError {
    /// The stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "money.malformed",
            Self::Negative => "money.negative",
            Self::TooManyPlaces => "money.places",
            Self::TooLarge => "money.too_large",
            Self::CurrencyMalformed => "money.currency",
            Self::CurrencyMismatch { .. } => "money.currency_mismatch",
        }
    }
}

impl fmt::Display for MoneyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("an amount must be a decimal number such as 12.99"),
            Self::Negative => f.write_str("an amount must not be negative"),
            Self::TooManyPlaces => f.write_str("an amount must have at most two places"),
            Self::TooLarge => f.write_str("an amount must be less than a trillion"),
            Self::CurrencyMalformed => f.write_str("a currency must be three upper-case letters such as USD"),
            Self::CurrencyMismatch { left, right } => write!(f, "{left} and {right} cannot be added"),
        }
    }
}

impl std::error::Error for MoneyError {}

impl From<MoneyError> for Error {
    fn from(error: MoneyError) -> Self {
        Self::invalid(error.code(), error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Money {
        Money::parse(text, Currency::USD).expect("a valid amount")
    }

    #[test]
    fn amounts_are_read_strictly() {
        let table = [
            ("0", Ok("0.00")),
            ("0.5", Ok("0.50")),
            ("12.99", Ok("12.99")),
            ("999999999999.99", Ok("999999999999.99")),
            ("1000000000000", Err(MoneyError::TooLarge)),
            ("99999999999999999999999999999999", Err(MoneyError::TooLarge)),
            ("-1", Err(MoneyError::Negative)),
            ("-0.00", Err(MoneyError::Negative)),
            ("12.999", Err(MoneyError::TooManyPlaces)),
            ("12.000", Err(MoneyError::TooManyPlaces)),
            ("", Err(MoneyError::Malformed)),
            ("-", Err(MoneyError::Malformed)),
            (".", Err(MoneyError::Malformed)),
            (".5", Err(MoneyError::Malformed)),
            ("5.", Err(MoneyError::Malformed)),
            ("1.2.3", Err(MoneyError::Malformed)),
            ("+1", Err(MoneyError::Malformed)),
            (" 1", Err(MoneyError::Malformed)),
            ("012.99", Err(MoneyError::Malformed)),
            ("1e3", Err(MoneyError::Malformed)),
            ("1_000", Err(MoneyError::Malformed)),
            ("1,000.00", Err(MoneyError::Malformed)),
            ("١٢", Err(MoneyError::Malformed)),
            ("NaN", Err(MoneyError::Malformed)),
        ];
        for (text, expected) in table {
            let read = Money::parse(text, Currency::USD).map(|money| money.amount().to_string());
            assert_eq!(read, expected.map(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn half_a_cent_goes_to_the_even_neighbour() {
        for (exact, rounded) in
            [("0.005", "0.00"), ("0.015", "0.02"), ("0.025", "0.02"), ("0.0251", "0.03"), ("16.887", "16.89")]
        {
            let exact: Decimal = exact.parse().expect("a decimal");
            let money = Money::rounded(exact, Currency::USD).expect("a small amount");
            assert_eq!(money.amount().to_string(), rounded);
        }
    }

    #[test]
    fn only_one_currency_adds() {
        let euro: Currency = "EUR".parse().expect("a currency");
        let other = Money::parse("1.00", euro).expect("an amount");
        let refused = usd("1.00").checked_add(other);
        assert_eq!(refused, Err(MoneyError::CurrencyMismatch { left: Currency::USD, right: euro }));
        assert_eq!(usd("1.10").checked_add(usd("2.20")), Ok(usd("3.30")));
        assert_eq!(Money::sum(euro, []), Ok(Money::zero(euro)));
    }

    #[test]
    fn too_much_is_an_error_and_no_panic() {
        let most = usd("999999999999.99");
        assert_eq!(most.checked_add(usd("0.01")), Err(MoneyError::TooLarge));
        assert_eq!(most.checked_mul(u32::MAX), Err(MoneyError::TooLarge));
        assert_eq!(Money::rounded(Decimal::MAX, Currency::USD), Err(MoneyError::TooLarge));
        assert_eq!(Money::rounded(Decimal::MIN, Currency::USD), Err(MoneyError::Negative));
    }

    #[test]
    fn in_json_the_amount_is_text_with_two_places() {
        let json = r#"{"amount":"12.90","currency":"USD"}"#;
        assert_eq!(serde_json::to_string(&usd("12.9")).expect("json"), json);
        assert_eq!(serde_json::from_str::<Money>(json).expect("money"), usd("12.90"));
        for refused in [
            r#"{"amount":12.9,"currency":"USD"}"#,
            r#"{"amount":"-1.00","currency":"USD"}"#,
            r#"{"amount":"1.00","currency":"usd"}"#,
            r#"{"amount":"1.00","currency":"EURO"}"#,
            r#"{"amount":"1.00"}"#,
            r#"{"amount":"1.00","currency":"USD","tip":"1.00"}"#,
        ] {
            assert!(serde_json::from_str::<Money>(refused).is_err(), "{refused}");
        }
    }
}
