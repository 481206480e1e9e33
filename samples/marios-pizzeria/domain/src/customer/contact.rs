//! How a customer is reached: name, phone, e-mail and address, each in one spelling.

use std::fmt;
use std::str::FromStr;

use neuroglia::mail::{EmailAddress, NotAnEmailAddress};
use serde::{Deserialize, Serialize};

use crate::refusal::{Findings, Refusal};

/// A telephone number, after the manner of E.164: an optional `+`, then digits.
///
/// Spaces, hyphens, dots, slashes and parentheses are dropped, a leading `00` is a `+`, and the `(0)` that some
/// write behind a country code is left out. A number without a country code stays national: the pizzeria does
/// not guess a country.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Phone(String);

impl Phone {
    /// The fewest digits of a number.
    pub const DIGITS_MIN: usize = 6;
    /// The most digits of a number (E.164).
    pub const DIGITS_MAX: usize = 15;
    /// The most characters that are looked at, separators included.
    const TEXT_BYTES_MAX: usize = 64;

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Phone {
    type Err = NotAPhone;

    fn from_str(text: &str) -> Result<Self, NotAPhone> {
        let text = text.trim();
        if text.len() > Self::TEXT_BYTES_MAX {
            return Err(NotAPhone);
        }
        let (mut international, rest) = match text.strip_prefix('+') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let trunk_prefix = if international || rest.starts_with("00") { "(0)" } else { "" };
        let mut rest = rest.replacen(trunk_prefix, "", 1);
        rest.retain(|c| !c.is_whitespace() && !matches!(c, '-' | '.' | '/' | '(' | ')'));
        if !international && let Some(behind) = rest.strip_prefix("00") {
            international = true;
            rest = behind.to_owned();
        }
        let sound = rest.bytes().all(|byte| byte.is_ascii_digit())
            && (Self::DIGITS_MIN..=Self::DIGITS_MAX).contains(&rest.len())
            // No country code begins with a zero.
            && !(international && rest.starts_with('0'));
        if !sound {
            return Err(NotAPhone);
        }
        if international {
            rest.insert(0, '+');
        }
        Ok(Self(rest))
    }
}

impl TryFrom<String> for Phone {
    type Error = NotAPhone;

    fn try_from(text: String) -> Result<Self, NotAPhone> {
        text.parse()
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no telephone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAPhone;

impl fmt::Display for NotAPhone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be a telephone number of {} to {} digits", Phone::DIGITS_MIN, Phone::DIGITS_MAX)
    }
}

impl std::error::Error for NotAPhone {}

/// How somebody is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    name: String,
    phone: Phone,
    email: Option<EmailAddress>,
    address: Option<String>,
}

impl Contact {
    /// The most characters of a name.
    pub const NAME_CHARS_MAX: usize = 100;
    /// The most characters of an address.
    pub const ADDRESS_CHARS_MAX: usize = 300;

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The telephone number.
    pub const fn phone(&self) -> &Phone {
        &self.phone
    }

    /// The e-mail address, if one was given.
    pub const fn email(&self) -> Option<&EmailAddress> {
        self.email.as_ref()
    }

    /// Where to deliver, if it was given.
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }
}

/// What somebody says about how to be reached, unjudged; an empty text is as good as none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContactDraft {
    /// The name.
    pub name: Option<String>,
    /// The telephone number.
    pub phone: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// Where to deliver.
    pub address: Option<String>,
}

impl ContactDraft {
    /// The contact, where an address may be missing: a customer's profile.
    ///
    /// `pointer` is the place of this draft in the request's body, such as `/customer`, or nothing for the whole.
    ///
    /// # Errors
    /// When something is missing or not right, with everything that is wrong.
    pub fn into_contact(self, pointer: &str) -> Result<Contact, Refusal> {
        self.judged(pointer, false)
    }

    /// The contact with an address: an order's.
    ///
    /// `pointer` is as for [`ContactDraft::into_contact`].
    ///
    /// # Errors
    /// When something is missing or not right, with everything that is wrong.
    pub fn into_delivery_contact(self, pointer: &str) -> Result<Contact, Refusal> {
        self.judged(pointer, true)
    }

    /// This draft with what it leaves out taken from what is known already.
    #[must_use]
    pub fn or(self, known: &Contact) -> Self {
        let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        Self {
            name: given(self.name).or_else(|| Some(known.name.clone())),
            phone: given(self.phone).or_else(|| Some(known.phone.to_string())),
            email: given(self.email).or_else(|| known.email.as_ref().map(ToString::to_string)),
            address: given(self.address).or_else(|| known.address.clone()),
        }
    }

    fn judged(self, pointer: &str, address_required: bool) -> Result<Contact, Refusal> {
        let mut findings = Findings::default();
        let name =
            findings.line(format!("{pointer}/name"), &self.name.unwrap_or_default(), Contact::NAME_CHARS_MAX);

        let phone_text = self.phone.unwrap_or_default();
        let phone_pointer = format!("{pointer}/phone");
        let phone = if phone_text.trim().is_empty() {
            findings.refuse(phone_pointer, "required", "must not be empty");
            None
        } else {
            findings.take(
                phone_text
                    .parse()
                    .map_err(|wrong: NotAPhone| Refusal::at(phone_pointer, "format", wrong.to_string())),
            )
        };

        let email = self.email.filter(|text| !text.trim().is_empty()).and_then(|text| {
            findings.take(text.parse().map_err(|wrong: NotAnEmailAddress| {
                Refusal::at(format!("{pointer}/email"), "format", wrong.to_string())
            }))
        });

        let address_pointer = format!("{pointer}/address");
        let address = self.address.unwrap_or_default();
        let address = findings.prose(address_pointer.clone(), &address, Contact::ADDRESS_CHARS_MAX);
        if address.is_empty() && address_required {
            findings.refuse(address_pointer, "required", "must not be empty");
        }

        findings.verdict()?;
        let phone = phone.expect("a missing or wrong phone was refused");
        Ok(Contact { name, phone, email, address: (!address.is_empty()).then_some(address) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_has_one_spelling() {
        let table = [
            ("+1 555 0100", Some("+15550100")),
            ("+1-555-0100", Some("+15550100")),
            ("001 (555) 0100", Some("+15550100")),
            ("+44 (0)20 7946 0018", Some("+442079460018")),
            ("0044 (0)20 7946 0018", Some("+442079460018")),
            ("030/123.456", Some("030123456")),
            ("555-0100", Some("5550100")),
            ("+123456789012345", Some("+123456789012345")),
            ("+1234567890123456", None),
            ("12345", None),
            ("+0155501000", None),
            ("++15550100", None),
            ("1+5550100", None),
            ("555-PIZZA", None),
            ("٠١٢٣٤٥٦٧", None),
            ("", None),
            ("+", None),
        ];
        for (text, expected) in table {
            let read = text.parse::<Phone>().ok();
            assert_eq!(read.as_ref().map(Phone::as_str), expected, "{text:?}");
        }
    }

    fn given(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_contact_is_refused_with_everything_that_is_wrong() {
        let wrong = ContactDraft {
            name: given("A\u{7}"),
            phone: given("12"),
            email: given("x"),
            address: given(" "),
        };
        let refusal = wrong.into_delivery_contact("/customer").expect_err("nothing is right");
        let found: Vec<(&str, &str)> =
            refusal.violations().iter().map(|found| (&*found.pointer, &*found.code)).collect();
        assert_eq!(
            found,
            [
                ("/customer/name", "characters"),
                ("/customer/phone", "format"),
                ("/customer/email", "format"),
                ("/customer/address", "required"),
            ]
        );
        let nothing = ContactDraft::default().into_contact("").expect_err("nothing is there");
        let found: Vec<(&str, &str)> =
            nothing.violations().iter().map(|found| (&*found.pointer, &*found.code)).collect();
        assert_eq!(found, [("/name", "required"), ("/phone", "required")]);
    }

    #[test]
    fn what_is_left_out_is_taken_from_what_is_known() {
        let known = ContactDraft {
            name: given("Ada"),
            phone: given("+1 555 0100"),
            email: given("ada@example.com"),
            address: given("1 Main St"),
        };
        let known = known.into_contact("").expect("a right draft");
        let draft = ContactDraft { address: given("2 Side St"), email: given(""), ..ContactDraft::default() };
        let contact = draft.or(&known).into_delivery_contact("").expect("a right draft");
        assert_eq!(contact.address(), Some("2 Side St"));
        assert_eq!(contact.email(), known.email());
        assert_eq!(contact.phone(), known.phone());
    }
}
