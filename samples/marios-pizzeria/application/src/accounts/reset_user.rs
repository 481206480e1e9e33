//! Make an account again what it is said to be.

use std::sync::Arc;

use neuroglia::cache::Sessions;
use neuroglia::clock::Clock;
use neuroglia::data::{Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::domain::Aggregate;
use neuroglia::error::{Error, Result};
use neuroglia::mediation::{Command, CommandHandler};
use neuroglia::settings::Secret;
use neuroglia::work::Jobs;
use pizzeria_domain::stamp::Stamp;
use pizzeria_domain::user::{Role, User, Username};

use super::EndSessions;
use super::create_user::USERNAME;
use super::ports::PasswordHasher;

/// Make an account again what it is said to be; what is right already does not change. With another password or role its
/// sessions are ended: at once, and once more after the commit, for whoever was logging in meanwhile.
#[derive(Clone)]
pub struct ResetUser {
    /// The name to log in with.
    pub username: String,
    /// The name that people read.
    pub name: String,
    /// What the user may do.
    pub role: Role,
    /// The password from now on.
    pub password: Secret<String>,
}

impl Command for ResetUser {
    type Response = ();
    type Handler = ResetUserHandler;
}

/// Handles [`ResetUser`].
#[derive(Inject)]
pub struct ResetUserHandler {
    users: Repository<User>,
    passwords: Arc<dyn PasswordHasher>,
    sessions: Arc<Sessions>,
    jobs: Jobs,
    clock: Clock,
}

impl CommandHandler<ResetUser> for ResetUserHandler {
    async fn handle(&self, command: ResetUser) -> Result<()> {
        let ResetUser { username, name, role, password } = command;
        let unknown = || Error::not_found("user", username.trim());
        let spelled: Username = username.parse().map_err(|_| unknown())?;
        let named = Find::filter(USERNAME.eq(spelled.to_string()));
        let mut user = self.users.first(named).await?.ok_or_else(unknown)?;
        let stamp = Stamp::anonymous(self.clock.now());
        let mut is_another = user.role() != role;
        user.change(&name, role, stamp.clone())?;
        if !self.passwords.verify(password.clone(), Some(user.password_hash())).await? {
            user.change_password(self.passwords.hash(password).await?, stamp);
            is_another = true;
        }
        if is_another {
            self.sessions.end_all(user.id().as_str()).await?;
            self.jobs.enqueue(&EndSessions { user: user.id().clone() })?;
        }
        self.users.save(&mut user)
    }
}
