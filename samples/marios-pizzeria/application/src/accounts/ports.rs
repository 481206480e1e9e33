//! What accounts need from outside: a slow hash and a signature.

use async_trait::async_trait;
use neuroglia::error::Result;
use neuroglia::settings::Secret;
use pizzeria_domain::user::{PasswordHash, User};

use super::AccessTokenDto;

/// Turns passwords into hashes, and compares.
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// The hash of a new password.
    async fn hash(&self, password: Secret<String>) -> Result<PasswordHash>;

    /// Whether the password is the one of the hash. Without a hash it takes as long, and is wrong.
    async fn verify(&self, password: Secret<String>, hash: Option<&PasswordHash>) -> Result<bool>;
}

/// Issues access tokens.
pub trait TokenIssuer: Send + Sync {
    /// A token that says who this user is.
    ///
    /// # Errors
    /// When it cannot be signed.
    fn issue(&self, user: &User) -> Result<AccessTokenDto>;
}
