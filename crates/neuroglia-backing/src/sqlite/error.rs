//! From what SQLite says to what a caller should do.

use neuroglia::data::Index;
use neuroglia::error::Error;
use sqlx::error::DatabaseError;

/// What a caller should do about an error of the driver; for the application's own statements.
///
/// A file that is locked, full or away is [`ErrorKind::Unavailable`](neuroglia::error::ErrorKind::Unavailable), a
/// unique value that is taken is a conflict, and everything else is a defect.
pub fn error(error: sqlx::Error) -> Error {
    if let Some((table, index)) = duplicate(&error) {
        return Error::duplicate(&table, Index::short_name(&table, &index)).with_source(error);
    }
    match &error {
        sqlx::Error::Database(cause) if is_transient(&**cause) => Error::unavailable(error),
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed | sqlx::Error::BeginFailed => {
            Error::unavailable(error)
        }
        _ => Error::internal(error),
    }
}

/// The same for a statement on the documents of a collection.
pub(super) fn in_collection(collection: &str, cause: sqlx::Error) -> Error {
    match duplicate(&cause) {
        Some((_, index)) => {
            Error::duplicate(collection, Index::short_name(collection, &index)).with_source(cause)
        }
        None => error(cause),
    }
}

/// Whether the connection is worth keeping after this.
pub(super) fn is_of_statement(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(_) | sqlx::Error::RowNotFound)
}

/// SQLite's primary result code, whatever detail it adds in the upper bits.
pub(super) fn code(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error().and_then(primary_code)
}

/// `SQLITE_BUSY`: somebody else holds the file's lock.
pub(super) const BUSY: u32 = 5;
/// `SQLITE_NOTADB`: the file has another format.
pub(super) const NOT_A_DATABASE: u32 = 26;
/// `SQLITE_CORRUPT`: the file is damaged.
pub(super) const CORRUPT: u32 = 11;

fn primary_code(error: &dyn DatabaseError) -> Option<u32> {
    error.code()?.parse::<u32>().ok().map(|code| code & 0xff)
}

fn is_transient(error: &dyn DatabaseError) -> bool {
    // BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL: the machine's, not the program's.
    matches!(primary_code(error), Some(BUSY | 6 | 7 | 8 | 9 | 10 | 13 | 14 | 15))
}

/// The table, as far as SQLite names it, and the index of a unique value that is taken.
fn duplicate(error: &sqlx::Error) -> Option<(String, String)> {
    let error = error.as_database_error().filter(|error| error.is_unique_violation())?;
    // «UNIQUE constraint failed: index 'orders_number'», or «…: orders.id, orders.line».
    let (_, what) = error.message().split_once(": ")?;
    if let Some(index) = what.strip_prefix("index '").and_then(|rest| rest.strip_suffix('\'')) {
        let table = index.split_once('_').map_or(index, |(table, _)| table);
        return Some((table.to_owned(), index.to_owned()));
    }
    let table = what.split_once('.')?.0;
    Some((table.to_owned(), what.replace(&format!("{table}."), "")))
}
