//! The texts of a mail that become headers: types of which no value has a line break.
//!
//! They are judged where they are made, and again when they are read from a store, so that an adapter need not.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::address::EmailAddress;

/// What makes a mail this mail: the same key again is the same mail.
///
/// Letters, digits and hyphens, with single points between them; at most 64 bytes. So it can stand before the `@` of a
/// `Message-ID` as it is (`dot-atom-text` of RFC 5322, section 3.2.3; its length is that of RFC 5321, section 4.5.3.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct MailKey(String);

impl MailKey {
    /// The most bytes of a key.
    pub const BYTES_MAX: usize = 64;

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MailKey {
    type Err = NotAMailKey;

    fn from_str(text: &str) -> Result<Self, NotAMailKey> {
        let part =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let sound = text.len() <= Self::BYTES_MAX && text.split('.').all(part);
        if sound { Ok(Self(text.to_owned())) } else { Err(NotAMailKey) }
    }
}

impl TryFrom<String> for MailKey {
    type Error = NotAMailKey;

    fn try_from(text: String) -> Result<Self, NotAMailKey> {
        text.parse()
    }
}

impl fmt::Display for MailKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that cannot be the key of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAMailKey;

impl fmt::Display for NotAMailKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a mail's key is made of letters, digits and hyphens, with points between them, {} bytes at most",
            MailKey::BYTES_MAX
        )
    }
}

impl std::error::Error for NotAMailKey {}

/// The `Message-ID` of every attempt to send a mail: `<key@domain of the sender>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct MessageId(String);

impl MessageId {
    /// That of the mail with this key.
    pub fn new(key: &MailKey, from: &EmailAddress) -> Self {
        Self(format!("<{key}@{}>", from.domain()))
    }

    /// Its text, with the angle brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MessageId {
    type Error = NotAMessageId;

    fn try_from(text: String) -> Result<Self, NotAMessageId> {
        let inside = text.strip_prefix('<').and_then(|text| text.strip_suffix('>'));
        let sound = inside.is_some_and(|inside| {
            inside
                .split_once('@')
                .is_some_and(|(key, domain)| key.parse::<MailKey>().is_ok() && !domain.is_empty())
                && inside.parse::<EmailAddress>().is_ok()
        });
        if sound { Ok(Self(text)) } else { Err(NotAMessageId) }
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is not the `Message-ID` of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAMessageId;

impl fmt::Display for NotAMessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a Message-ID is a mail's key and a domain, such as <daily-report.2026-11-24@example.com>",
        )
    }
}

impl std::error::Error for NotAMessageId {}

/// What a mail is about, in one line; nothing that only its reader may know.
///
/// Made of any text: what is no visible character becomes one space, and what is longer than
/// [`CHARS_MAX`](Self::CHARS_MAX) is cut. A mail is not lost for the name of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String")]
pub struct Subject(String);

impl Subject {
    /// The most characters of a subject: what programs show of one, twice.
    pub const CHARS_MAX: usize = 200;

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Subject {
    fn from(text: &str) -> Self {
        let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        Self(words.collect::<Vec<_>>().join(" ").chars().take(Self::CHARS_MAX).collect())
    }
}

impl From<String> for Subject {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_subject_has_a_line_break(text in any::<String>()) {
            let subject = Subject::from(text);
            prop_assert!(!subject.as_str().contains(char::is_control), "{subject:?}");
            prop_assert!(subject.as_str().chars().count() <= Subject::CHARS_MAX);
        }

        #[test]
        fn what_is_a_key_stands_in_a_message_id_as_it_is(text in "[a-z0-9.\r\n<>@ -]{0,70}") {
            if let Ok(key) = text.parse::<MailKey>() {
                let from = "mario@pizza.example".parse().expect("an address");
                let id = MessageId::new(&key, &from);
                prop_assert_eq!(MessageId::try_from(id.to_string()), Ok(id));
            }
        }
    }

    #[test]
    fn a_forged_header_is_a_part_of_the_subject() {
        let subject = Subject::from("Your pizza\r\nBcc: eve@example.com\u{2028}\u{85}now");
        assert_eq!(subject.as_str(), "Your pizza Bcc: eve@example.com now");
    }

    #[test]
    fn keys_and_message_ids_are_judged() {
        for wrong in ["", ".", "a..b", "a.", "a b", "a@b", "é", "a\n", &"a".repeat(65)] {
            assert_eq!(wrong.parse::<MailKey>(), Err(NotAMailKey), "{wrong:?}");
        }
        for wrong in ["", "<a>", "a@b", "<a@b>\r\nBcc: c@d", "<a@b@c>", "<@b>", "<a@>", "<a b@c>"] {
            assert_eq!(MessageId::try_from(wrong.to_owned()), Err(NotAMessageId), "{wrong:?}");
        }
    }
}
