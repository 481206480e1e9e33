//! One error type for every layer above the domain: its kind answers "what should the caller do?".
//!
//! A kind decides the HTTP status, whether the pipeline or a consumer may try again, and the exit code of an
//! admin command, all in the one table below, so that no layer needs a `match` of its own. An application's
//! domain keeps its own error enums and implements `From<…> for Error` beside them.
//!
//! ```
//! use neuroglia_core::error::{Error, ErrorKind};
//!
//! let error = Error::conflict("order.wrong_state", "the order is pending; it must be confirmed");
//! assert_eq!(error.kind(), ErrorKind::Conflict);
//! assert_eq!(error.kind().status(), 409);
//! assert_eq!(error.to_string(), "the order is pending; it must be confirmed");
//! ```

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::num::NonZeroU8;

use serde::{Deserialize, Serialize};

use crate::work::Retry;

/// What a handler, a behaviour or a port gives back.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller should do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request cannot be understood: send something well-formed.
    Malformed,
    /// The request is understood, and its content is refused: correct it.
    Invalid,
    /// Nobody is logged in: authenticate.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// There is no such thing, or none that the caller may know of.
    NotFound,
    /// The state of the thing forbids it now: look again, then decide.
    Conflict,
    /// The thing has changed since the caller last saw it (`If-Match`).
    PreconditionFailed,
    /// Too much in too short a time: slow down.
    RateLimited,
    /// An attached resource is away: try again later.
    Unavailable,
    /// A defect of this program: nothing that the caller can do.
    Internal,
}

impl ErrorKind {
    /// The HTTP status code of this kind.
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::PreconditionFailed => 412,
            Self::Invalid => 422,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }

    /// The title of a problem document of this kind: the status' standard phrase.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Malformed => "Bad Request",
            Self::Unauthenticated => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not Found",
            Self::Conflict => "Conflict",
            Self::PreconditionFailed => "Precondition Failed",
            Self::Invalid => "Unprocessable Content",
            Self::RateLimited => "Too Many Requests",
            Self::Internal => "Internal Server Error",
            Self::Unavailable => "Service Unavailable",
        }
    }

    /// The exit code of a process that ends with this error (`sysexits.h`).
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Malformed | Self::Invalid => 65,
            Self::Unavailable | Self::RateLimited => 75,
            _ => 1,
        }
    }

    /// Whether the same call may succeed later without being changed.
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Unavailable | Self::RateLimited)
    }
}

/// One thing that is wrong with a request's content, at the place where it is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Where, as a JSON Pointer (RFC 6901) into the request's body; empty for the whole.
    pub pointer: String,
    /// Which rule, as a stable code that a client may match on, such as `range`.
    pub code: Cow<'static, str>,
    /// What is wrong, for people.
    pub detail: Cow<'static, str>,
}

/// An error with a kind, a stable code, a text for people and, inside, its cause.
///
/// The text of an error reaches clients only for kinds below 500; the cause reaches only the log.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    code: Cow<'static, str>,
    detail: Cow<'static, str>,
    violations: Vec<Violation>,
    conflict: Option<VersionConflict>,
    is_duplicate: bool,
    retry_after_s: Option<u64>,
    retry: Option<Retry>,
    exit_code: Option<NonZeroU8>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// A write that expected another version than the store has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionConflict {
    /// The collection of the document.
    pub collection: Cow<'static, str>,
    /// The document's id.
    pub id: String,
    /// The version that the writer had read; `None` when it expected no document.
    pub expected: Option<u64>,
    /// The version that the store has; `None` when it has no such document.
    pub actual: Option<u64>,
}

impl Error {
    /// An error of this kind, with a stable code (`thing.rule`) and a text for people.
    pub fn new(
        kind: ErrorKind,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            code: code.into(),
            detail: detail.into(),
            violations: Vec::new(),
            conflict: None,
            is_duplicate: false,
            retry_after_s: None,
            retry: None,
            exit_code: None,
            source: None,
        }))
    }

    /// The content is refused.
    pub fn invalid(code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Invalid, code, detail)
    }

    /// The content is refused, at these places.
    pub fn violations(violations: Vec<Violation>) -> Self {
        let mut error = Self::invalid("request.invalid", "the request's content is not valid; see errors");
        error.0.violations = violations;
        error
    }

    /// There is no `what` with this id.
    pub fn not_found(what: &str, id: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, format!("{what}.not_found"), format!("there is no {what} {id}"))
    }

    /// The state forbids it.
    pub fn conflict(code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Conflict, code, detail)
    }

    /// Nobody is logged in, or the credentials are refused.
    pub fn unauthenticated() -> Self {
        Self::new(ErrorKind::Unauthenticated, "auth.required", "authentication required")
    }

    /// The caller may not do this.
    pub fn forbidden() -> Self {
        Self::new(ErrorKind::Forbidden, "auth.forbidden", "access denied")
    }

    /// An attached resource is away.
    pub fn unavailable(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Unavailable, "service.unavailable", "service temporarily unavailable")
            .with_source(source)
    }

    /// A defect of this program.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Internal, "internal", "an internal error occurred").with_source(source)
    }

    /// A compare-and-set that found another version; of kind [`ErrorKind::NotFound`] when it found no document.
    pub fn version_conflict(conflict: VersionConflict) -> Self {
        let mut error = if conflict.expected.is_some() && conflict.actual.is_none() {
            Self::not_found(&conflict.collection, &conflict.id)
        } else {
            Self::conflict("version.conflict", "it was changed by somebody else meanwhile; read it again")
        };
        error.0.conflict = Some(conflict);
        error
    }

    /// A unique index of `collection` that has the value already.
    pub fn duplicate(collection: &str, index: &str) -> Self {
        let mut error = Self::conflict(
            format!("{collection}.duplicate"),
            format!("another of {collection} has the same {index}"),
        );
        error.0.is_duplicate = true;
        error
    }

    /// This error with its cause, which only the log sees.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// This error with the seconds after which another try makes sense (`Retry-After`).
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// This error with what durable work does about it, instead of what its kind says.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = Some(retry);
        self
    }

    /// This error with the exit code of an admin command that ends with it, instead of its kind's; nothing else reads it.
    /// Whoever runs the command, such as a platform's cron, can then tell its outcomes apart. 1, 64, 65, 75 and 78 have a
    /// meaning of the host's already, and 126 and above one of the shell's.
    ///
    /// ```
    /// use std::num::NonZeroU8;
    ///
    /// use neuroglia::error::Error;
    /// # use neuroglia_core as neuroglia;
    ///
    /// const BOOKS_DIFFER: NonZeroU8 = NonZeroU8::new(3).unwrap();
    ///
    /// let error = Error::conflict("books.differ", "the books differ by 3 orders").with_exit_code(BOOKS_DIFFER);
    /// assert_eq!(error.exit_code(), BOOKS_DIFFER);
    /// ```
    #[must_use]
    pub fn with_exit_code(mut self, code: NonZeroU8) -> Self {
        self.0.exit_code = Some(code);
        self
    }

    /// The same error for one more of those who waited for the same: its causes are a text from now on.
    ///
    /// ```
    /// use neuroglia::error::Error;
    /// # use neuroglia_core as neuroglia;
    ///
    /// let error = Error::unavailable("connection refused");
    /// assert_eq!(error.echo().code(), error.code());
    /// ```
    #[must_use]
    pub fn echo(&self) -> Self {
        let Inner {
            kind,
            code,
            detail,
            violations,
            conflict,
            is_duplicate,
            retry_after_s,
            retry,
            exit_code,
            source,
        } = &*self.0;
        Self(Box::new(Inner {
            kind: *kind,
            code: code.clone(),
            detail: detail.clone(),
            violations: violations.clone(),
            conflict: conflict.clone(),
            is_duplicate: *is_duplicate,
            retry_after_s: *retry_after_s,
            retry: *retry,
            exit_code: *exit_code,
            source: source.as_ref().map(|source| chain(&**source).into()),
        }))
    }

    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The stable code, such as `order.wrong_state`.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The exit code of an admin command that ends with it: its own, or its kind's.
    pub fn exit_code(&self) -> NonZeroU8 {
        let of_kind = || NonZeroU8::new(self.0.kind.exit_code()).unwrap_or(NonZeroU8::MIN);
        self.0.exit_code.unwrap_or_else(of_kind)
    }

    /// The text for people: a lowercase fragment.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Every violation, when the content was refused.
    pub fn violation_list(&self) -> &[Violation] {
        &self.0.violations
    }

    /// The expected and the actual version, when a compare-and-set failed.
    pub fn as_version_conflict(&self) -> Option<&VersionConflict> {
        self.0.conflict.as_ref()
    }

    /// Whether a unique index had the value already; see [`Error::duplicate`].
    pub fn is_duplicate(&self) -> bool {
        self.0.is_duplicate
    }

    /// The seconds after which another try makes sense.
    pub fn retry_after_s(&self) -> Option<u64> {
        self.0.retry_after_s
    }

    /// What durable work does about it, when the error says so itself.
    pub fn retry(&self) -> Option<Retry> {
        self.0.retry
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("code", &self.0.code)
            .field("detail", &self.0.detail)
            .field("violations", &self.0.violations)
            .field("source", &self.0.source)
            .finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// An error with its causes, each once.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_status() {
        let table = [
            (Error::new(ErrorKind::Malformed, "c", "d"), 400),
            (Error::unauthenticated(), 401),
            (Error::forbidden(), 403),
            (Error::not_found("order", 7), 404),
            (Error::conflict("c", "d"), 409),
            (Error::invalid("c", "d"), 422),
            (Error::internal("cause"), 500),
            (Error::unavailable("cause"), 503),
        ];
        for (error, status) in table {
            assert_eq!(error.kind().status(), status, "{error:?}");
        }
    }

    #[test]
    fn the_default_details_are_those_that_clients_know() {
        assert_eq!(Error::unauthenticated().detail(), "authentication required");
        assert_eq!(Error::forbidden().detail(), "access denied");
        assert_eq!(Error::internal("x").detail(), "an internal error occurred");
        assert_eq!(Error::unavailable("x").detail(), "service temporarily unavailable");
        assert_eq!(Error::not_found("order", "o-1").detail(), "there is no order o-1");
    }

    #[test]
    fn the_cause_is_a_source_and_not_part_of_the_text() {
        let error = Error::internal("password=hunter2");
        assert!(!error.to_string().contains("hunter2"));
        assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("password=hunter2"));
    }

    #[test]
    fn an_echo_says_the_same() {
        let cause = Error::conflict("inner", "the inner").with_source("the innermost");
        let violation =
            Violation { pointer: "/name".to_owned(), code: "required".into(), detail: "say a name".into() };
        let errors = [
            Error::unavailable(cause).with_retry_after(7),
            Error::duplicate("orders", "number").with_retry(Retry::Never),
            Error::violations(vec![violation]),
            Error::version_conflict(VersionConflict {
                collection: "orders".into(),
                id: "o-1".to_owned(),
                expected: Some(1),
                actual: Some(2),
            }),
        ];
        for error in errors {
            let echo = error.echo();
            assert_eq!(chain(&echo), chain(&error));
            assert_eq!(
                (echo.kind(), echo.code(), echo.is_duplicate()),
                (error.kind(), error.code(), error.is_duplicate())
            );
            assert_eq!((echo.retry_after_s(), echo.retry()), (error.retry_after_s(), error.retry()));
            assert_eq!(echo.violation_list(), error.violation_list());
            assert_eq!(echo.as_version_conflict(), error.as_version_conflict());
        }
    }
}
