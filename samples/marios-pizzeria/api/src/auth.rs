//! Logging in.

use std::sync::Arc;

use neuroglia::auth::{PresentedSession, SessionCookies};
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::Mediator;
use neuroglia::settings::Secret;
use neuroglia::web::{Arrival, Json, NoContent, RateLimit, WithCookie, controller};
use pizzeria_application::accounts::{AccessTokenDto, ConfirmLogin, Identify, LogIn};
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

impl LoginLimits {
    /// Takes one from the quota of the address and from that of the account.
    async fn admit(&self, arrival: &Arrival, username: &str) -> Result<()> {
        self.by_address.admit(arrival, arrival.subscriber()).await?;
        self.by_account.admit(arrival, username.trim().to_lowercase()).await
    }
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
    cookies: Arc<SessionCookies>,
}

#[controller("/api/v1/auth")]
impl AuthController {
    /// Exchange user name and password for an access token.
    #[post("/token", public)]
    async fn token(&self, arrival: Arrival, Json(body): Json<Credentials>) -> Result<Json<AccessTokenDto>> {
        self.limits.admit(&arrival, &body.username).await?;
        let password = Secret::new(body.password);
        Ok(Json(self.mediator.send(LogIn { username: body.username, password }).await?))
    }

    /// Begin a session by user name and password, as a page of the pizzeria does: a cookie stands for it from then on.
    #[post("/session", public)]
    async fn begin_session(
        &self,
        arrival: Arrival,
        presented: PresentedSession,
        Json(body): Json<Credentials>,
    ) -> Result<WithCookie<NoContent>> {
        self.limits.admit(&arrival, &body.username).await?;
        let password = Secret::new(body.password);
        let login = self.mediator.send(Identify { username: body.username, password }).await?;
        let cookie = self.cookies.begin(&presented, &login.identity).await?;
        // Without the cookie nobody has the session. The one that came along has ended in any case.
        self.mediator.send(ConfirmLogin(login)).await?;
        Ok(WithCookie { cookie, body: NoContent })
    }

    /// End the session of the cookie, if there is one.
    #[delete("/session", public)]
    async fn end_session(&self, presented: PresentedSession) -> Result<WithCookie<NoContent>> {
        Ok(WithCookie { cookie: self.cookies.end(&presented).await?, body: NoContent })
    }
}
