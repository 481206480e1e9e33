//! What an answer of the server, or none, means for the mail.

use std::time::Duration;

use lettre::transport::smtp::Error as SmtpError;
use neuroglia::error::{Error, ErrorKind, Result};
use neuroglia::mail;

/// The code of an error that is not the message's: the server is away, or does not let us in.
const UNAVAILABLE: &str = "mail.unavailable";

/// Nobody could be spoken to.
pub(super) fn of_connection(error: &SmtpError) -> Error {
    away(match error.status() {
        Some(_) => format!("the mail server does not let us in ({})", reply(error)),
        None => format!("the mail server cannot be reached: {}", cause(error)),
    })
}

/// The server was spoken to about a message.
pub(super) fn of_message(error: &SmtpError) -> Error {
    match error.status() {
        // 530 is "authentication required" (RFC 4954): a word against us and not against the message.
        Some(code) if error.is_permanent() && code.to_string() != "530" => mail::refused(&reply(error)),
        Some(_) => away(format!("the mail server does not take the message now ({})", reply(error))),
        None => away(format!("the mail server was not heard to the end: {}", cause(error))),
    }
}

/// The time for something was over.
pub(super) fn late(what: &str, limit: Duration) -> Error {
    away(format!("{what} took the mail server longer than {limit:?}"))
}

/// Mail cannot be sent now.
pub(super) fn away(reason: String) -> Error {
    Error::new(ErrorKind::Unavailable, UNAVAILABLE, reason)
}

/// The codes of an answer: its own, and the enhanced one (RFC 3463) where it has one. Its text may name people.
fn reply(error: &SmtpError) -> String {
    let code = error.status().map(|code| code.to_string()).unwrap_or_default();
    let text = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    match text.split_whitespace().next() {
        Some(word) if is_enhanced(word) => format!("{code} {word}"),
        _ => code,
    }
}

fn is_enhanced(word: &str) -> bool {
    let mut numbers = 0;
    word.split('.').all(|number| {
        numbers += 1;
        (1..=3).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit())
    }) && numbers == 3
}

/// Why nothing was heard: what the network or TLS says, which knows no message.
fn cause(error: &SmtpError) -> String {
    neuroglia::error::chain(error)
}

/// The outcome of a step that is bounded in time.
pub(super) fn bounded<T>(
    outcome: Result<Result<T, SmtpError>, tokio::time::error::Elapsed>,
    limit: Duration,
) -> Result<T> {
    match outcome {
        Ok(done) => done.map_err(|error| of_connection(&error)),
        Err(_) => Err(late("a connection", limit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enhanced_code_is_three_numbers() {
        for (word, expected) in [
            ("5.1.1", true),
            ("4.7.650", true),
            ("5.1", false),
            ("a.b.c", false),
            ("5..1", false),
            ("<ada@b>", false),
        ] {
            assert_eq!(is_enhanced(word), expected, "{word}");
        }
    }
}
