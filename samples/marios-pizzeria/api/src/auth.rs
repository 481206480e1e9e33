//! Logging in.

use std::sync::Arc;

use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::Mediator;
use neuroglia::settings::Secret;
use neuroglia::web::{Arrival, Json, RateLimit, controller};
use pizzeria_application::accounts::{AccessTokenDto, LogIn};
use schemars::JsonSchema;
use serde::Deserialize;

/// How often may be tried to log in: from one address, and to one account.
#[derive(Debug)]
pub struct LoginLimits {
    /// By the client's address, of which a subscriber of IPv6 has many.
    pub by_address: RateLimit,
    /// By the name to log in with.
    pub by_account: RateLimit,
}

/// User name and password.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Credentials {
    /// The name to log in with.
    username: String,
    /// The password.
    password: String,
}

#[derive(Inject)]
pub(crate) struct AuthController {
    mediator: Mediator,
    limits: Arc<LoginLimits>,
}

#[controller("/api/v1/auth")]
impl AuthController {
    /// Exchange user name and password for an access token.
    #[post("/token", public)]
    async fn token(&self, arrival: Arrival, Json(body): Json<Credentials>) -> Result<Json<AccessTokenDto>> {
        self.limits.by_address.admit(&arrival, arrival.subscriber())?;
        self.limits.by_account.admit(&arrival, body.username.trim().to_lowercase())?;
        let password = Secret::new(body.password);
        Ok(Json(self.mediator.send(LogIn { username: body.username, password }).await?))
    }
}
