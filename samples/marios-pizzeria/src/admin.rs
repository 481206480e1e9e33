//! What an operator does once; each command sends messages, as everybody does.

mod create_user;
mod seed;

pub use create_user::CreateUser;
pub use seed::Seed;

use neuroglia::process::admin::Admin;

/// The pizzeria's admin commands.
pub(crate) fn commands(admin: Admin) -> Admin {
    admin.command::<Seed>().command::<CreateUser>()
}
