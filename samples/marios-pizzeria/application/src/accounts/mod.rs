//! Who somebody is: accounts, logging in, and what a handler makes of the caller.

mod caller;
mod confirm_login;
mod create_user;
mod credentials;
mod end_sessions;
mod identify;
mod log_in;
mod ports;
mod reset_user;

pub use caller::{check_version, identity_of, role, stamp, user_id};
pub use confirm_login::ConfirmLogin;
pub use create_user::{CreateUser, CreatedUser};
pub use end_sessions::EndSessions;
pub use identify::{Identified, Identify};
pub use log_in::{AccessTokenDto, LogIn};
pub use ports::{PasswordHasher, TokenIssuer};
pub use reset_user::ResetUser;
