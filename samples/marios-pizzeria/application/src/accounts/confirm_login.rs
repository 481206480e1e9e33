//! Make sure that a login is still good once its session has begun.

use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::domain::Aggregate;
use neuroglia::error::Result;
use neuroglia::mediation::{Query, QueryHandler};
use pizzeria_domain::user::{User, UserId};

use super::Identified;
use super::credentials::wrong_credentials;

/// Make sure that a login is still good once its session has begun: a password that was replaced while it was checked
/// opens nothing.
///
/// Whoever changes an account ends its sessions after that is committed ([`EndSessions`](super::EndSessions)). A session
/// that was begun before is ended by it; one that was begun after is refused here, because the change can be read.
pub struct ConfirmLogin(pub Identified);

impl Query for ConfirmLogin {
    type Response = ();
    type Handler = ConfirmLoginHandler;
}

/// Handles [`ConfirmLogin`].
#[derive(Inject)]
pub struct ConfirmLoginHandler {
    users: Repository<User>,
}

impl QueryHandler<ConfirmLogin> for ConfirmLoginHandler {
    async fn handle(&self, ConfirmLogin(login): ConfirmLogin) -> Result<()> {
        let id: UserId = login.identity.require()?.parse().map_err(|_| wrong_credentials())?;
        let user = self.users.get(&id).await?;
        user.filter(|user| user.version() == login.version).map(drop).ok_or_else(wrong_credentials)
    }
}
