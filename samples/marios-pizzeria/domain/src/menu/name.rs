//! Names on the menu: the slug that identifies a pizza, and toppings in one spelling.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The id of a pizza: the slug of its first name, such as `quattro-formaggi`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PizzaId(String);

impl PizzaId {
    /// The slug of a name: lower-case letters and digits of ASCII, and single hyphens between them.
    ///
    /// Accents of Latin letters fall away, so `Provençale` and `provencale` are one pizza. `None` when nothing
    /// is left of the name.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut slug = String::with_capacity(name.len());
        let mut gap = false;
        let mut buffer = [0; 4];
        for c in name.chars().flat_map(char::to_lowercase) {
            let letters = match c {
                'a'..='z' | '0'..='9' => &*c.encode_utf8(&mut buffer),
                // A combining mark belongs to the letter before it.
                '\u{300}'..='\u{36f}' => continue,
                _ => without_accent(c),
            };
            if letters.is_empty() {
                gap = true;
                continue;
            }
            if gap && !slug.is_empty() {
                slug.push('-');
            }
            gap = false;
            slug.push_str(letters);
        }
        (!slug.is_empty()).then_some(Self(slug))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A letter of the Latin-1 block without its accent; nothing for any other character.
fn without_accent(c: char) -> &'static str {
    match c {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => "a",
        'æ' => "ae",
        'ç' => "c",
        'è' | 'é' | 'ê' | 'ë' => "e",
        'ì' | 'í' | 'î' | 'ï' => "i",
        'ñ' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' => "o",
        'ß' => "ss",
        'ù' | 'ú' | 'û' | 'ü' => "u",
        'ý' | 'ÿ' => "y",
        _ => "",
    }
}

impl fmt::Display for PizzaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PizzaId {
    type Err = NotASlug;

    fn from_str(text: &str) -> Result<Self, NotASlug> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for PizzaId {
    type Error = NotASlug;

    fn try_from(text: String) -> Result<Self, NotASlug> {
        let word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if text.split('-').all(word) { Ok(Self(text)) } else { Err(NotASlug) }
    }
}

/// A text that cannot be the id of a pizza.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotASlug;

impl fmt::Display for NotASlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be lower-case words of letters and digits with hyphens between them")
    }
}

impl std::error::Error for NotASlug {}

/// A topping by its name, in one spelling: lower-case, single spaces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Topping(String);

impl Topping {
    /// The most characters of a topping's name.
    pub const CHARS_MAX: usize = 40;

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Topping {
    type Err = NotATopping;

    fn from_str(text: &str) -> Result<Self, NotATopping> {
        // Judged before it is rebuilt, so that a hostile text costs no more than a look at its length.
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '\'' | '&');
        let text = text.trim();
        if text.is_empty() || text.chars().count() > Self::CHARS_MAX || !text.chars().all(allowed) {
            return Err(NotATopping);
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        Ok(Self(words.join(" ").to_lowercase()))
    }
}

impl TryFrom<String> for Topping {
    type Error = NotATopping;

    fn try_from(text: String) -> Result<Self, NotATopping> {
        text.parse()
    }
}

/// A text that cannot be the name of a topping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotATopping;

impl fmt::Display for NotATopping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be a name of letters, digits and spaces, at most {} characters", Topping::CHARS_MAX)
    }
}

impl std::error::Error for NotATopping {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slug_of_a_name() {
        let table = [
            ("Margherita", Some("margherita")),
            ("  Quattro   Formaggi! ", Some("quattro-formaggi")),
            ("Provençale", Some("provencale")),
            ("Provenc\u{327}ale", Some("provencale")),
            ("STRASSE & Æpfel", Some("strasse-aepfel")),
            ("Straße", Some("strasse")),
            ("Nº 5", Some("n-5")),
            ("Diavola №2", Some("diavola-2")),
            ("四季", None),
            ("--", None),
            ("", None),
        ];
        for (name, slug) in table {
            assert_eq!(PizzaId::from_name(name).as_ref().map(PizzaId::as_str), slug, "{name:?}");
        }
    }

    #[test]
    fn an_id_is_a_slug() {
        for slug in ["margherita", "quattro-formaggi", "4", "p0"] {
            assert_eq!(slug.parse::<PizzaId>().map(|id| id.to_string()).as_deref(), Ok(slug));
        }
        for other in ["", "Margherita", "a--b", "-a", "a-", "a b", "../a", "é"] {
            assert_eq!(other.parse::<PizzaId>(), Err(NotASlug), "{other:?}");
        }
    }

    #[test]
    fn a_topping_has_one_spelling() {
        assert_eq!("  Extra  Cheese ".parse::<Topping>(), "extra cheese".parse());
        for other in ["", " ", "a\nb", "<b>", &"x".repeat(41)] {
            assert_eq!(other.parse::<Topping>(), Err(NotATopping), "{other:?}");
        }
    }
}
