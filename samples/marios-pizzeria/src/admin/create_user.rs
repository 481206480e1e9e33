//! Open an account.

use std::sync::Arc;

use clap::Args;
use neuroglia::auth::Passwords;
use neuroglia::error::Result;
use neuroglia::mediation::Mediator;
use neuroglia::process::admin::{AdminCommand, AdminContext};
use neuroglia::settings::Secret;
use pizzeria_application::accounts;
use pizzeria_application::accounts::PasswordHasher;
use pizzeria_domain::user::Role;

/// Opens an account. The password is read from standard input, or generated and printed once.
#[derive(Debug, Args)]
pub struct CreateUser {
    /// The name to log in with, such as an e-mail address.
    #[arg(long)]
    pub username: String,
    /// The name that people read.
    #[arg(long)]
    pub name: String,
    /// customer, chef, driver, manager or admin.
    #[arg(long)]
    pub role: Role,
    /// Read the password from the first line of standard input.
    #[arg(long)]
    pub password_stdin: bool,
    /// Do nothing when there is an account with this name.
    #[arg(long)]
    pub if_absent: bool,
}

impl AdminCommand for CreateUser {
    const NAME: &'static str = "create-user";
    const ABOUT: &'static str = "Open an account";

    async fn run(self, context: &AdminContext) -> Result<()> {
        let generated = (!self.password_stdin).then(Passwords::generate).transpose()?;
        let password = match &generated {
            Some(password) => password.clone(),
            None => Secret::new(context.read_line().await?),
        };
        let hasher = context.inject::<Arc<dyn PasswordHasher>>()?;
        let command = accounts::CreateUser {
            username: self.username.clone(),
            name: self.name,
            role: self.role,
            password_hash: hasher.hash(password).await?,
        };
        match context.inject::<Mediator>()?.send(command).await {
            Ok(created) => {
                context
                    .print(&format!("created {} ({}) with id {}", self.username, self.role, created.id))?;
                match generated {
                    Some(password) => context.print(&format!("password: {}", password.expose())),
                    None => Ok(()),
                }
            }
            Err(error) if self.if_absent && error.code() == "user.exists" => {
                context.print(&format!("{} is there already", self.username))
            }
            Err(error) => Err(error),
        }
    }
}
