//! E-mail addresses, in one spelling, of which none can carry anything but itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An e-mail address as the HTML standard defines a valid one; its domain is lower-case.
///
/// ```
/// use neuroglia_core::mail::EmailAddress;
///
/// let address: EmailAddress = " Ada@Example.COM ".parse().unwrap();
/// assert_eq!(address.as_str(), "Ada@example.com");
/// assert!("ada@example.com\r\nBcc: all@example.com".parse::<EmailAddress>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct EmailAddress(String);

impl EmailAddress {
    /// The most bytes of an address (RFC 5321, erratum 1690).
    pub const BYTES_MAX: usize = 254;

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands after the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for EmailAddress {
    type Err = NotAnEmailAddress;

    fn from_str(text: &str) -> Result<Self, NotAnEmailAddress> {
        let text = text.trim();
        let atom = |b: u8| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b);
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        match text.rsplit_once('@') {
            Some((local, domain))
                if text.len() <= Self::BYTES_MAX
                    && (1..=64).contains(&local.len())
                    && local.bytes().all(atom)
                    && domain.split('.').all(label) =>
            {
                Ok(Self(format!("{local}@{}", domain.to_ascii_lowercase())))
            }
            _ => Err(NotAnEmailAddress),
        }
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = NotAnEmailAddress;

    fn try_from(text: String) -> Result<Self, NotAnEmailAddress> {
        text.parse()
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnEmailAddress;

impl fmt::Display for NotAnEmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be an e-mail address such as ada@example.com")
    }
}

impl std::error::Error for NotAnEmailAddress {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_address_cannot_carry_a_second_header() {
        let table = [
            ("ada@example.com", Some("ada@example.com")),
            (" Ada.Lovelace+pizza@Example.COM ", Some("Ada.Lovelace+pizza@example.com")),
            ("ada@localhost", Some("ada@localhost")),
            ("ada", None),
            ("@example.com", None),
            ("ada@", None),
            ("ada@-example.com", None),
            ("ada@example..com", None),
            ("ada lovelace@example.com", None),
            ("ada@example.com\r\nBcc: all@example.com", None),
            ("\"ada\"@example.com", None),
            ("a@b@example.com", None),
        ];
        for (text, expected) in table {
            let read = text.parse::<EmailAddress>().ok();
            assert_eq!(read.as_ref().map(EmailAddress::as_str), expected, "{text:?}");
        }
        assert!(format!("ada@{}.com", "x".repeat(250)).parse::<EmailAddress>().is_err());
        assert_eq!("ada@Example.com".parse::<EmailAddress>().expect("one").domain(), "example.com");
    }
}
