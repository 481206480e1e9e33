//! From what MongoDB says to what a caller should do.
//!
//! The driver's errors show the server's whole answer, and a duplicate's text the value that is taken, which may be
//! somebody's telephone number. What goes on from here is the code, its name, and the text up to the value.

use std::fmt;

use mongodb::error::{
    Error as DriverError, ErrorKind as DriverKind, RETRYABLE_WRITE_ERROR, TRANSIENT_TRANSACTION_ERROR,
    WriteFailure,
};
use neuroglia::data::Index;
use neuroglia::error::{Error, ErrorKind};

/// What a caller should do about an error of the driver; for the application's own operations.
///
/// A deployment that is away, has no primary, lets this user in no more, is busy or met a conflict of transactions is
/// [`ErrorKind::Unavailable`]; a unique value that is taken is a conflict; a document that is too large is
/// [`ErrorKind::Invalid`]; and everything else is a defect.
pub fn error(error: DriverError) -> Error {
    let said = Said::of(&error);
    if let Some((collection, index)) = said.duplicate() {
        return Error::duplicate(&collection, Index::short_name(&collection, &index)).with_source(said);
    }
    // What the driver can see by itself it does not send.
    let is_unsent = matches!(&*error.kind, DriverKind::InvalidArgument { message, .. } if message.contains("must be within"));
    if is_unsent || said.code.is_some_and(|code| TOO_LARGE.contains(&code)) {
        return Error::invalid("store.too_large", "a document is larger than the database takes, 16 MiB")
            .with_source(said);
    }
    if is_transient(&error) { Error::unavailable(said) } else { Error::internal(said) }
}

/// The error of a change whose connection was lost before the answer came.
pub(super) fn unknown_outcome(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "store.outcome_unknown",
        "the database did not answer; whether the change was kept is not known",
    )
    .with_source(cause)
}

/// Why the database could not be opened, for who set its URL.
pub(super) fn refusal(place: &impl fmt::Display, cause: &DriverError) -> Error {
    let said = Said::of(cause);
    let detail = match (&*cause.kind, said.code) {
        (DriverKind::Authentication { .. }, _) | (_, Some(18)) => {
            format!("the database {place} refuses the user or the password; check both, and authSource")
        }
        (_, Some(13)) => format!("the user may not use the database {place}; grant the role readWrite on it"),
        (DriverKind::InvalidTlsConfig { .. }, _) => {
            format!("the database {place} cannot be reached by TLS: {said}; check the files in the URL")
        }
        _ => format!("the database {place} cannot be reached: {said}"),
    };
    Error::new(ErrorKind::Unavailable, "store.open", detail).with_source(said)
}

/// Whether another try to connect may succeed without anything being changed.
pub(super) fn may_come_up(error: &DriverError) -> bool {
    !matches!(&*error.kind, DriverKind::Authentication { .. } | DriverKind::InvalidTlsConfig { .. })
        && is_transient(error)
}

/// Whether two transactions got into each other's way, or one was lost, and the same again may succeed.
pub(super) fn is_collision(error: &DriverError) -> bool {
    error.contains_label(TRANSIENT_TRANSACTION_ERROR)
}

/// Whether the server may have done it all the same: it was not confirmed by a majority, or its answer was lost and the
/// driver has asked again in vain.
pub(super) fn may_be_kept(error: &DriverError) -> bool {
    error.contains_label(RETRYABLE_WRITE_ERROR)
        || match &*error.kind {
            DriverKind::Write(failure) => matches!(failure, WriteFailure::WriteConcernError(_)),
            DriverKind::InsertMany(said) => said.write_errors.is_none() && said.write_concern_error.is_some(),
            _ => false,
        }
}

/// The index of a unique value that is taken, and its collection.
pub(super) fn duplicate(error: &DriverError) -> Option<(String, String)> {
    Said::of(error).duplicate()
}

/// Whether a value of a unique index is taken.
pub(super) fn is_duplicate(error: &DriverError) -> bool {
    Said::of(error).code == Some(DUPLICATE)
}

/// Whether an operation, which is no part of a transaction, could not write in its time what a transaction has locked.
pub(super) fn is_locked(error: &DriverError) -> bool {
    Said::of(error).code.is_some_and(|code| LOCKED.contains(&code))
}

/// What the server or the driver said, without values.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    text: String,
}

/// A value of a unique index that is taken.
pub(super) const DUPLICATE: i32 = 11000;

/// The limit of the operation is over, or the conflict was not waited for.
const LOCKED: [i32; 2] = [50, 112];

/// Documents, keys and commands that exceed what the server takes.
const TOO_LARGE: [i32; 3] = [10334, 17419, 17420];

/// No primary, a server on its way up or down, no answer in time, what was ended with its session, and transactions in
/// each other's way.
const TRANSIENT: [i32; 25] = [
    6, 7, 24, 43, 50, 64, 89, 91, 112, 133, 134, 189, 225, 237, 251, 262, 267, 290, 9001, 10107, 11600,
    11601, 11602, 13435, 13436,
];

/// Whether what the server says by this code may pass by itself.
pub(super) fn may_pass(code: i32) -> bool {
    TRANSIENT.contains(&code)
}

impl Said {
    fn of(error: &DriverError) -> Self {
        let by = |code: i32, name: &str, message: &str| {
            // A value follows, and nothing that helps.
            let message = message.split(" dup key").next().unwrap_or_default();
            let name = if name.is_empty() { String::new() } else { format!(" {name}") };
            Self { code: Some(code), text: format!("error{name} ({code}): {message}") }
        };
        match &*error.kind {
            DriverKind::Command(said) => by(said.code, &said.code_name, &said.message),
            DriverKind::Write(WriteFailure::WriteError(said)) => {
                by(said.code, said.code_name.as_deref().unwrap_or_default(), &said.message)
            }
            DriverKind::Write(WriteFailure::WriteConcernError(said)) => {
                by(said.code, &said.code_name, &said.message)
            }
            DriverKind::InsertMany(said) => {
                match (said.write_errors.as_deref().and_then(<[_]>::first), &said.write_concern_error) {
                    (Some(said), _) => {
                        by(said.code, said.code_name.as_deref().unwrap_or_default(), &said.message)
                    }
                    (None, Some(said)) => by(said.code, &said.code_name, &said.message),
                    (None, None) => Self { code: None, text: "an insert failed".to_owned() },
                }
            }
            kind => Self { code: None, text: kind.to_string() },
        }
    }

    /// By the text, which says it on every server; a key pattern is not always there.
    fn duplicate(&self) -> Option<(String, String)> {
        if self.code != Some(DUPLICATE) {
            return None;
        }
        let word_after =
            |mark: &str| Some(self.text.split(mark).nth(1)?.split_whitespace().next()?.to_owned());
        let collection = word_after("collection: ")?;
        let (_, collection) = collection.split_once('.')?;
        Some((collection.to_owned(), word_after("index: ")?))
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Said {}

fn is_transient(error: &DriverError) -> bool {
    let labelled = [RETRYABLE_WRITE_ERROR, TRANSIENT_TRANSACTION_ERROR];
    labelled.iter().any(|label| error.contains_label(label))
        || Said::of(error).code.is_some_and(may_pass)
        || matches!(
            &*error.kind,
            DriverKind::Io(_)
                | DriverKind::ConnectionPoolCleared { .. }
                | DriverKind::ServerSelection { .. }
                | DriverKind::DnsResolve { .. }
                // An operator has changed the password, and may have done so too early.
                | DriverKind::Authentication { .. }
                | DriverKind::Shutdown
        )
}
