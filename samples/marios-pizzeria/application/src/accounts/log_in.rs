//! Exchange user name and password for an access token.

use std::sync::Arc;

use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::{Query, QueryHandler};
use neuroglia::settings::Secret;
use schemars::JsonSchema;
use serde::Serialize;

use super::credentials::Credentials;
use super::ports::TokenIssuer;

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
    credentials: Credentials,
    tokens: Arc<dyn TokenIssuer>,
}

impl QueryHandler<LogIn> for LogInHandler {
    async fn handle(&self, query: LogIn) -> Result<AccessTokenDto> {
        let user = self.credentials.check(&query.username, query.password).await?;
        self.tokens.issue(&user)
    }
}
