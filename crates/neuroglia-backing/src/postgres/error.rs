//! From what PostgreSQL says to what a caller should do.

use std::borrow::Cow;

use neuroglia::data::Index;
use neuroglia::error::{Error, ErrorKind};
use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// What a caller should do about an error of the driver; for the application's own statements.
///
/// A server that is away, busy or full, or whose disk takes no more, is [`ErrorKind::Unavailable`], as are a deadlock
/// and a connection that the server has ended; a unique value that is taken is a conflict; a text with a NUL and a
/// field that is too long for its index are [`ErrorKind::Invalid`]; and everything else is a defect.
pub fn error(error: sqlx::Error) -> Error {
    if let Some((table, index)) = duplicate(&error) {
        return Error::duplicate(&table, &index).with_source(error);
    }
    match code(&error).as_deref() {
        Some("22021" | "22P05") => {
            Error::invalid("store.nul", "a text has the character NUL in it, which the database cannot hold")
                .with_source(error)
        }
        Some("54000") => {
            Error::invalid("store.too_long", "a field with an index is too long").with_source(error)
        }
        Some(code) if is_transient(code) => Error::unavailable(error),
        // Whatever the code: the server has given up the connection, and a new one may do better.
        _ if is_of_connection(&error) || is_of_disk(&error) => Error::unavailable(error),
        _ => Error::internal(error),
    }
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
pub(super) fn refusal(place: &impl std::fmt::Display, cause: sqlx::Error) -> Error {
    let detail = match code(&cause).as_deref() {
        Some("28P01" | "28000") => {
            format!("the database {place} refuses the user or the password; check both")
        }
        Some("3D000") => format!("there is no database {place}; create it"),
        None if is_of_certificate(&cause) => format!(
            "the database {place} did not show a certificate for this host by a known authority: {cause}; check the \
             host, and name the authority's certificate in sslrootcert"
        ),
        Some("42501") => format!("the user may not connect to the database {place}; grant it"),
        _ => format!("the database {place} cannot be reached: {cause}"),
    };
    Error::new(ErrorKind::Unavailable, "store.open", detail).with_source(cause)
}

/// A certificate that is refused comes as invalid data.
fn is_of_certificate(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(cause) if cause.kind() == std::io::ErrorKind::InvalidData)
}

/// Whether another try to connect may succeed without anything being changed.
pub(super) fn may_come_up(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => !is_of_certificate(error),
        sqlx::Error::Database(_) => code(error).is_some_and(|code| is_transient(&code)),
        _ => false,
    }
}

/// Whether the connection is lost with this error.
pub(super) fn is_of_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(cause) => {
            let cause = cause.try_downcast_ref::<PgDatabaseError>();
            cause.is_none_or(|cause| matches!(cause.severity(), PgSeverity::Fatal | PgSeverity::Panic))
        }
        sqlx::Error::RowNotFound | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => false,
        _ => true,
    }
}

/// Whether the server could not write to its disk. For want of space there is a code; a quota, or a limit on the size of
/// files, comes as an error of the server itself, with the place where it came up.
fn is_of_disk(error: &sqlx::Error) -> bool {
    let cause = error.as_database_error().and_then(|cause| cause.try_downcast_ref::<PgDatabaseError>());
    // What it reports from there as damage has another code.
    cause.is_some_and(|cause| cause.code() == "XX000" && matches!(cause.file(), Some("md.c" | "fd.c")))
}

/// The five characters of SQLSTATE.
pub(super) fn code(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code)
}

/// Whether two transactions got into each other's way, and the same again may succeed.
pub(super) fn is_collision(error: &sqlx::Error) -> bool {
    matches!(code(error).as_deref(), Some("40P01" | "40001"))
}

fn is_transient(code: &str) -> bool {
    // Connections, resources, operators and the system; deadlocks, locks, and a server that only reads because it
    // is about to be replaced.
    ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class))
        || matches!(code, "40P01" | "40001" | "55P03" | "25006")
}

/// The table and the index of a unique value that is taken.
fn duplicate(error: &sqlx::Error) -> Option<(String, String)> {
    let error = error.as_database_error().filter(|error| error.is_unique_violation())?;
    let (table, index) = (error.table()?, error.constraint()?);
    Some((table.to_owned(), Index::short_name(table, index).to_owned()))
}
