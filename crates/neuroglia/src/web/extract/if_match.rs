//! The version that a caller believes in.

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use neuroglia_core::error::{Error, ErrorKind, Result};

use crate::web::problem::Problem;

/// The version that `If-Match` demands; none when the caller does not care.
///
/// Our entity tags begin with a version: `"3"`, or with a digest behind it `"3.5bd1e995a1b2c3d4"`, of which the version
/// counts. A weak tag, or one without a version, cannot be that of anything here: the condition fails before the action runs.
///
/// ```
/// use neuroglia::web::{IfMatch, Problem};
///
/// async fn rename(expected: IfMatch) -> Result<(), Problem> {
///     let version = 3; // of what was loaded
///     expected.check(version)?;
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IfMatch(pub Option<u64>);

impl IfMatch {
    /// Checks the version that was found.
    ///
    /// # Errors
    /// [`ErrorKind::PreconditionFailed`] when the caller demands another.
    pub fn check(self, version: u64) -> Result<()> {
        match self.0 {
            Some(expected) if expected != version => Err(failed()),
            _ => Ok(()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parse(&parts.headers).map(Self)
    }
}

fn parse(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let mut values = headers.get_all(header::IF_MATCH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let tag = value.as_bytes().trim_ascii();
    if values.next().is_some() || tag.contains(&b',') {
        return Err(malformed("more than one entity tag in If-Match is not supported"));
    }
    if tag == b"*" {
        return Ok(None);
    }
    let (weak, quoted) = tag.strip_prefix(b"W/").map_or((false, tag), |strong| (true, strong));
    let Some(opaque) = quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else {
        return Err(malformed("If-Match must be an entity tag in double quotes"));
    };
    let version = opaque.split(|&byte| byte == b'.').next().unwrap_or_default();
    match std::str::from_utf8(version).ok().and_then(|version| version.parse().ok()) {
        Some(version) if !weak => Ok(Some(version)),
        _ => Err(failed().into()),
    }
}

fn malformed(detail: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "if_match.malformed", detail)
}

fn failed() -> Error {
    Error::new(
        ErrorKind::PreconditionFailed,
        "version.mismatch",
        "it is not at the version that If-Match demands; read it again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_version_or_fails() {
        let table: [(&str, Result<Option<u64>, u16>); 12] = [
            ("\"3\"", Ok(Some(3))),
            ("\"3.5bd1e995a1b2c3d4\"", Ok(Some(3))),
            ("W/\"3.5bd1e995a1b2c3d4\"", Err(412)),
            ("\".5bd1e995a1b2c3d4\"", Err(412)),
            ("*", Ok(None)),
            ("W/\"3\"", Err(412)),
            ("\"abc\"", Err(412)),
            ("\"\"", Err(412)),
            ("3", Err(400)),
            ("\"3", Err(400)),
            ("\"3\", \"4\"", Err(400)),
            ("", Err(400)),
        ];
        for (text, outcome) in table {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, text.parse().expect("a header value"));
            assert_eq!(parse(&headers).map_err(|problem| problem.status().as_u16()), outcome, "{text}");
        }
        assert_eq!(parse(&HeaderMap::new()).expect("none"), None);
    }

    #[test]
    fn another_version_is_412() {
        assert!(IfMatch(None).check(7).is_ok());
        assert!(IfMatch(Some(7)).check(7).is_ok());
        assert_eq!(IfMatch(Some(6)).check(7).map_err(|error| error.kind().status()), Err(412));
    }
}
