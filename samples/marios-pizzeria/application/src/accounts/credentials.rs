//! Whether a name and a password belong together.

use std::sync::Arc;

use neuroglia::data::{Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::error::{Error, ErrorKind, Result};
use neuroglia::settings::Secret;
use pizzeria_domain::user::{User, Username};

use super::create_user::USERNAME;
use super::ports::PasswordHasher;

/// Checks what somebody logs in with.
#[derive(Inject)]
pub(super) struct Credentials {
    users: Repository<User>,
    passwords: Arc<dyn PasswordHasher>,
}

impl Credentials {
    /// Whose they are. An unknown name and a wrong password take the same time and get the same answer.
    pub(super) async fn check(&self, username: &str, password: Secret<String>) -> Result<User> {
        let user = match username.parse::<Username>() {
            Ok(username) => self.users.first(Find::filter(USERNAME.eq(username.to_string()))).await?,
            Err(_) => None,
        };
        let right = self.passwords.verify(password, user.as_ref().map(User::password_hash)).await?;
        user.filter(|_| right).ok_or_else(wrong_credentials)
    }
}

/// The answer to whoever cannot log in, whatever is wrong.
pub(super) fn wrong_credentials() -> Error {
    Error::new(ErrorKind::Unauthenticated, "auth.credentials", "the user name or the password is wrong")
}
