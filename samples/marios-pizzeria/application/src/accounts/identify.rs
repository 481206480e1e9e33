//! Find out who somebody is by user name and password.

use neuroglia::di::Inject;
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

impl Query for Identify {
    type Response = Identity;
    type Handler = IdentifyHandler;
}

/// Handles [`Identify`].
#[derive(Inject)]
pub struct IdentifyHandler {
    credentials: Credentials,
}

impl QueryHandler<Identify> for IdentifyHandler {
    async fn handle(&self, query: Identify) -> Result<Identity> {
        self.credentials.check(&query.username, query.password).await.map(|user| identity_of(&user))
    }
}
