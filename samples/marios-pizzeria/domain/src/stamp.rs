//! When something was done, and by whom.

use neuroglia::clock::Timestamp;

use crate::user::UserId;

/// The time and the acting user of one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// When.
    pub at: Timestamp,
    /// By whom; `None` for a guest and for the pizzeria's own processes.
    pub by: Option<UserId>,
}

impl Stamp {
    /// Done by this user.
    pub fn by(user: UserId, at: Timestamp) -> Self {
        Self { at, by: Some(user) }
    }

    /// Done by nobody who has an account: a guest, or one of the pizzeria's own processes.
    pub const fn anonymous(at: Timestamp) -> Self {
        Self { at, by: None }
    }
}
