//! What handlers make of whoever asks.

use neuroglia::clock::Clock;
use neuroglia::domain::Aggregate;
use neuroglia::error::{Error, ErrorKind, Result};
use neuroglia::identity::Identity;
use pizzeria_domain::stamp::Stamp;
use pizzeria_domain::user::{Role, User, UserId};

/// The time and the acting user of a change that is made now.
pub fn stamp(caller: &Identity, clock: &Clock) -> Stamp {
    Stamp { at: clock.now(), by: user_id(caller) }
}

/// Who this user is, for as long as somebody has proved to be it.
pub fn identity_of(user: &User) -> Identity {
    Identity::known(user.id().as_str(), user.name(), [user.role().as_str()])
}

/// The caller's user id; `None` for a guest.
pub fn user_id(caller: &Identity) -> Option<UserId> {
    caller.subject()?.parse().ok()
}

/// The caller's role; `None` for a guest, and for somebody whose roles the pizzeria does not know.
pub fn role(caller: &Identity) -> Option<Role> {
    caller.roles().iter().find_map(|role| role.parse().ok())
}

/// Whether a thing still has the version that the caller has seen (`If-Match`).
///
/// # Errors
/// `PreconditionFailed` when it has another.
pub fn check_version(actual: u64, expected: Option<u64>) -> Result<()> {
    match expected {
        Some(expected) if expected != actual => Err(Error::new(
            ErrorKind::PreconditionFailed,
            "version.mismatch",
            format!("it has version {actual}, not {expected}; read it again"),
        )),
        _ => Ok(()),
    }
}
