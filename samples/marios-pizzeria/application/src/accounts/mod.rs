//! Who somebody is: accounts, logging in, and what a handler makes of the caller.

mod caller;
mod create_user;
mod credentials;
mod identify;
mod log_in;
mod ports;
mod reset_user;

pub use caller::{check_version, identity_of, role, stamp, user_id};
pub use create_user::{CreateUser, CreatedUser};
pub use identify::Identify;
pub use log_in::{AccessTokenDto, LogIn};
pub use ports::{PasswordHasher, TokenIssuer};
pub use reset_user::ResetUser;
