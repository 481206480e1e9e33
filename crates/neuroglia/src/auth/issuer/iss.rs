//! An issuer as the claim `iss` spells it, which is how it is compared.

use neuroglia_core::settings::{Form, Parsed, Value};
use url::Url;

/// The name of an issuer: a URL, of which the text counts. A URL that was read has gained a slash or lost a port, and is
/// another name.
#[derive(Debug, Clone)]
pub struct IssuerUrl {
    spelled: String,
    url: Url,
}

impl IssuerUrl {
    /// The name, as it was spelled.
    pub fn as_str(&self) -> &str {
        &self.spelled
    }

    /// Where it leads.
    pub fn url(&self) -> &Url {
        &self.url
    }
}

impl TryFrom<&str> for IssuerUrl {
    type Error = String;

    fn try_from(spelled: &str) -> Result<Self, String> {
        let url = <Url as Value<Parsed>>::parse(spelled)?;
        Ok(Self { spelled: spelled.to_owned(), url })
    }
}

/// A setting of a kind of its own, and a URL like all others to whoever looks for what a deploy attaches.
impl Value<IssuerUrl> for IssuerUrl {
    fn form() -> Form {
        <Url as Value<Parsed>>::form()
    }

    fn parse(text: &str) -> Result<Self, String> {
        Self::try_from(text)
    }
}
