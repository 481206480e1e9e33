//! Exchange user name and password for an access token.

use std::sync::Arc;

use neuroglia::data::{Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::error::{Error, ErrorKind, Result};
use neuroglia::mediation::{Query, QueryHandler};
use neuroglia::settings::Secret;
use pizzeria_domain::user::{User, Username};
use schemars::JsonSchema;
use serde::Serialize;

use super::create_user::USERNAME;
use super::ports::{PasswordHasher, TokenIssuer};

/// Exchange user name and password for an access token. It changes nothing, so it is a query.
pub struct LogIn {
    /// The name to log in with.
    pub username: String,
    /// The password.
    pub password: Secret<String>,
}

/// An access token, as RFC 6749 spells it.
#[derive(Clone, Serialize, JsonSchema)]
pub struct AccessTokenDto {
    /// The token, to be sent as `Authorization: Bearer …`.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// For how many seconds it is good.
    pub expires_in: u64,
}

impl Query for LogIn {
    type Response = AccessTokenDto;
    type Handler = LogInHandler;
}

/// Handles [`LogIn`].
#[derive(Inject)]
pub struct LogInHandler {
    users: Repository<User>,
    passwords: Arc<dyn PasswordHasher>,
    tokens: Arc<dyn TokenIssuer>,
}

impl QueryHandler<LogIn> for LogInHandler {
    /// An unknown name and a wrong password take the same time and get the same answer.
    async fn handle(&self, query: LogIn) -> Result<AccessTokenDto> {
        let user = match query.username.parse::<Username>() {
            Ok(username) => self.users.first(Find::filter(USERNAME.eq(username.to_string()))).await?,
            Err(_) => None,
        };
        let right = self.passwords.verify(query.password, user.as_ref().map(User::password_hash)).await?;
        match user {
            Some(user) if right => self.tokens.issue(&user),
            _ => Err(Error::new(
                ErrorKind::Unauthenticated,
                "auth.credentials",
                "the user name or the password is wrong",
            )),
        }
    }
}
