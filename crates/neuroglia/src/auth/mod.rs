//! Who somebody is: passwords prove it once, a signed token carries it from then on.
//!
//! [`Passwords`] hashes and checks passwords, [`Tokens`] signs what a login has proved and reads it back, and an
//! [`Authenticator`] turns the `Authorization` header of a request into an
//! [`Identity`](neuroglia_core::identity::Identity). [`SessionCookies`] do the same for browsers, by a session that is kept
//! elsewhere. What an identity may do is another matter, and stands on
//! each route. [`IssuerTokens`] are those of somebody else, such as an OpenID provider, which [`TokensByIssuer`] accepts
//! beside our own.
//!
//! Nothing here tells a stranger why credentials were refused, only that they were: which part of a token is
//! wrong, or whether an account exists, is what an attacker wants to know.

mod authenticator;
mod password;
mod session_cookies;
mod tokens;

mod issuer;

mod cryptography;

pub(crate) use authenticator::bearer;
pub use authenticator::{Authentication, Authenticator};
pub use issuer::{IssuerSettings, IssuerTokens, IssuerUrl, TokensByIssuer};
pub use password::Passwords;
pub(crate) use session_cookies::COOKIE_NAME;
pub use session_cookies::{PresentedSession, SessionCookies, SetCookie};
pub use tokens::{AccessToken, TokenSettings, Tokens};
