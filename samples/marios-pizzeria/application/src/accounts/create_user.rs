//! Open an account.

use neuroglia::clock::Clock;
use neuroglia::data::{Field, Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::domain::Aggregate;
use neuroglia::error::{Error, Result};
use neuroglia::id::Ids;
use neuroglia::mediation::{Command, CommandHandler};
use pizzeria_domain::stamp::Stamp;
use pizzeria_domain::user::{PasswordHash, Role, User, UserDraft};
use serde::{Deserialize, Serialize};

/// The name to log in with, for queries.
pub(super) const USERNAME: Field<User, String> = Field::new(User::USERNAME_PATH);

/// Open an account; the password was hashed by whoever asks.
#[derive(Clone)]
pub struct CreateUser {
    /// The name to log in with.
    pub username: String,
    /// The name that people read.
    pub name: String,
    /// What the user may do.
    pub role: Role,
    /// What the hashing algorithm made of the password.
    pub password_hash: PasswordHash,
}

/// The account that was opened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreatedUser {
    /// Its id.
    pub id: String,
}

impl Command for CreateUser {
    type Response = CreatedUser;
    type Handler = CreateUserHandler;
}

/// Handles [`CreateUser`].
#[derive(Inject)]
pub struct CreateUserHandler {
    users: Repository<User>,
    ids: Ids,
    clock: Clock,
}

impl CommandHandler<CreateUser> for CreateUserHandler {
    async fn handle(&self, command: CreateUser) -> Result<CreatedUser> {
        let CreateUser { username, name, role, password_hash } = command;
        let draft = UserDraft { username, name, role, password_hash };
        let mut user = User::create(self.ids.next(), draft, Stamp::anonymous(self.clock.now()))?;
        let known = self.users.count(Find::filter(USERNAME.eq(user.username().to_string()))).await?;
        if known > 0 {
            return Err(Error::conflict(
                "user.exists",
                format!("there is a user {} already", user.username()),
            ));
        }
        self.users.save(&mut user)?;
        Ok(CreatedUser { id: user.id().to_string() })
    }
}
