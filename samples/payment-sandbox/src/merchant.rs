//! Who may call: the one merchant, by its key.

use std::sync::OnceLock;

use neuroglia::auth::{Authentication, Authenticator};
use neuroglia::error::Error;
use neuroglia::identity::Identity;
use neuroglia::settings::Secret;
use neuroglia::web::http::HeaderValue;

/// Knows the merchant by `Authorization: Bearer <key>`.
pub(crate) struct ApiKey {
    expected: Secret<String>,
    merchant: OnceLock<Identity>,
}

impl ApiKey {
    pub(crate) fn new(key: Secret<String>) -> Self {
        Self { expected: Secret::new(format!("Bearer {}", key.expose())), merchant: OnceLock::new() }
    }
}

impl Authenticator for ApiKey {
    fn authenticate<'a>(&'a self, authorization: Option<&'a HeaderValue>) -> Authentication<'a> {
        Authentication::ready(match authorization {
            None => Ok(Identity::anonymous()),
            Some(value) if is_equal(value.as_bytes(), self.expected.expose().as_bytes()) => {
                let merchant = || Identity::known("merchant", "The merchant", ["merchant"]);
                Ok(self.merchant.get_or_init(merchant).clone())
            }
            Some(_) => Err(Error::unauthenticated()),
        })
    }
}

/// Compares in a time that depends on nothing but the length.
fn is_equal(left: &[u8], right: &[u8]) -> bool {
    let differences = left.iter().zip(right).fold(0, |seen, (left, right)| seen | (left ^ right));
    left.len() == right.len() && std::hint::black_box(differences) == 0
}
