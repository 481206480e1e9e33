//! The token by which a guest follows an order. The order keeps a digest of it only.
//!
//! Where the order was placed with an idempotency key, the kept answer has the token as long as the key is kept: a guest
//! who lost the answer would otherwise have lost the order.

use neuroglia::id::Ids;
use sha2::{Digest, Sha256};

/// An unguessable text that only the guest has.
#[derive(Clone)]
pub struct TrackingToken(String);

impl TrackingToken {
    /// A new token, of 122 random bits.
    pub fn new(ids: &Ids) -> Self {
        Self(ids.token())
    }

    /// A token as a guest presents it.
    pub fn presented(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The token itself, for the one answer that has it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is kept of it. Digests are compared, not tokens: how long that takes tells nothing about a token.
    pub fn digest(&self) -> String {
        Sha256::digest(self.0.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
