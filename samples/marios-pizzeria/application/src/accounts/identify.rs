//! Find out who somebody is by user name and password.

use neuroglia::di::Inject;
use neuroglia::domain::Aggregate;
use neuroglia::error::Result;
use neuroglia::identity::Identity;
use neuroglia::mediation::{Query, QueryHandler};
use neuroglia::settings::Secret;

use super::caller::identity_of;
use super::credentials::Credentials;

/// Find out who somebody is by user name and password, to begin a session of theirs.
pub struct Identify {
    /// The name to log in with.
    pub username: String,
    /// The password.
    pub password: Secret<String>,
}

/// Who somebody has proved to be.
#[derive(Debug)]
pub struct Identified {
    /// Who.
    pub identity: Identity,
    /// The version of the account that it was proved to.
    pub version: u64,
}

impl Query for Identify {
    type Response = Identified;
    type Handler = IdentifyHandler;
}

/// Handles [`Identify`].
#[derive(Inject)]
pub struct IdentifyHandler {
    credentials: Credentials,
}

impl QueryHandler<Identify> for IdentifyHandler {
    async fn handle(&self, query: Identify) -> Result<Identified> {
        let user = self.credentials.check(&query.username, query.password).await?;
        Ok(Identified { identity: identity_of(&user), version: user.version() })
    }
}
