//! Open an account.

use std::sync::Arc;

use neuroglia::auth::Passwords;
use neuroglia::error::Result;
use neuroglia::mediation::Mediator;
use neuroglia::process::admin::{AdminCommand, AdminContext, clap};
use neuroglia::settings::Secret;
use pizzeria_application::accounts;
use pizzeria_application::accounts::PasswordHasher;
use pizzeria_domain::user::Role;

/// Opens an account. The password is read from standard input, or generated and printed once.
#[derive(Debug, clap::Args)]
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
    /// When there is an account with this name, give it this password, name and role.
    #[arg(long, conflicts_with = "if_absent")]
    pub reset: bool,
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
        let said = match self.make(context, password).await {
            Err(error) if self.if_absent && error.code() == "user.exists" => {
                return context.print(&format!("{} is there already", self.username));
            }
            made => made?,
        };
        context.print(&said)?;
        match generated {
            Some(password) => context.print(&format!("password: {}", password.expose())),
            None => Ok(()),
        }
    }
}

impl CreateUser {
    /// Opens the account or resets it, and says which.
    async fn make(&self, context: &AdminContext, password: Secret<String>) -> Result<String> {
        let mediator = context.inject::<Mediator>()?;
        let Self { username, role, .. } = self;
        if self.reset {
            let command = accounts::ResetUser {
                username: username.clone(),
                name: self.name.clone(),
                role: *role,
                password: password.clone(),
            };
            match mediator.send(command).await {
                Err(error) if error.code() == "user.not_found" => {}
                reset => return reset.map(|()| format!("reset {username} ({role})")),
            }
        }
        let command = accounts::CreateUser {
            username: username.clone(),
            name: self.name.clone(),
            role: *role,
            password_hash: context.inject::<Arc<dyn PasswordHasher>>()?.hash(password).await?,
        };
        let created = mediator.send(command).await?;
        Ok(format!("created {username} ({role}) with id {}", created.id))
    }
}
