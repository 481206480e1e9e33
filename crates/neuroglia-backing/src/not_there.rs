//! What is said of a database that is not there yet, while a start waits for it.

use std::fmt::Display;

/// Says why it is not there: as a warning at first, and whenever the reason is another one than before.
#[derive(Debug, Default)]
pub(crate) struct NotThere {
    last: Option<String>,
}

impl NotThere {
    pub(crate) fn tell(&mut self, database: impl Display, cause: impl Display) {
        let cause = cause.to_string();
        if self.last.as_ref() == Some(&cause) {
            tracing::debug!(error = cause, %database, "the database is not there yet");
        } else {
            tracing::warn!(error = cause, %database, "the database is not there yet, and is waited for");
            self.last = Some(cause);
        }
    }
}
