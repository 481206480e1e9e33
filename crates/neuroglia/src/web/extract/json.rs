//! JSON in and out.
//!
//! # Design notes
//! - A body is decoded straight into its type. Only one that does not fit is decoded a second time, with the
//!   bookkeeping that tells where; so a good request does not pay for the explanation of a bad one.
//! - What is not JSON (400) is told from JSON of the wrong shape (422). Text that is not UTF-8 is not JSON.
//! - The escaped NUL character is refused: PostgreSQL cannot store it, and an application must not behave
//!   differently from one store to the next.

use axum::body::HttpBody;
use axum::extract::{FromRequest, OptionalFromRequest, Request};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use neuroglia_core::error::Violation;
use serde::de::DeserializeOwned;

use super::body::{self, ContentLimits};
use super::shape;
use crate::web::problem::Problem;

/// A value as JSON: the body of a request, or of an answer.
///
/// As an argument of an action it must be the last one. `Option<Json<T>>` is `None` when the request has neither a
/// body nor a content type.
///
/// ```
/// use neuroglia::web::{Json, Problem};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize)]
/// struct Greet { name: String }
///
/// #[derive(Serialize)]
/// struct Greeting { text: String }
///
/// async fn greet(Json(body): Json<Greet>) -> Result<Json<Greeting>, Problem> {
///     Ok(Json(Greeting { text: format!("hello, {}", body.name) }))
/// }
///
/// let router: axum::Router = axum::Router::new().route("/", axum::routing::post(greet));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        check_content_type(&parts.headers)?;
        let limits = ContentLimits::of(&parts.extensions);
        let bytes = body::read(&parts.extensions, body).await?;
        let bytes = body::decoded(&parts.headers, bytes, limits)?;
        decode(&bytes, limits.json_depth).map(Self)
    }
}

impl<T, S> OptionalFromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        let empty = request.body().is_end_stream() || request.body().size_hint().exact() == Some(0);
        if empty && !request.headers().contains_key(header::CONTENT_TYPE) {
            return Ok(None);
        }
        <Self as FromRequest<S>>::from_request(request, state).await.map(Some)
    }
}

/// Accepts `application/json` and `application/…+json`, in UTF-8.
fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let is_json = headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        // What nearly everybody sends.
        value == "application/json" || value.to_str().is_ok_and(is_json)
    });
    if is_json {
        return Ok(());
    }
    let problem = Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "media_type.unsupported",
        "the content type must be application/json",
    );
    Err(problem.with_header(header::ACCEPT, HeaderValue::from_static("application/json")))
}

pub(in crate::web) fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let named = essence == "application/json"
        || essence
            .strip_prefix("application/")
            .and_then(|subtype| subtype.strip_suffix("+json"))
            .is_some_and(|name| !name.is_empty());
    named
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
                value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}

fn decode<T: DeserializeOwned>(bytes: &[u8], depth_max: usize) -> Result<T, Problem> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(malformed("the body is not UTF-8"));
    };
    if is_deeper_than(bytes, depth_max) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "json.too_deep",
            format!("the body is nested more than {depth_max} levels deep"),
        ));
    }
    let value = serde_json::from_str(text).map_err(|error| refused::<T>(text, &error))?;
    if has_escaped_nul(bytes) {
        return Err(unprocessable(Violation {
            pointer: String::new(),
            code: "nul".into(),
            detail: "no text may contain the character NUL".into(),
        }));
    }
    Ok(value)
}

#[cold]
fn refused<T: DeserializeOwned>(text: &str, error: &serde_json::Error) -> Problem {
    // Decoding ends with the first thing that is wrong, which may be a type before the syntax.
    let syntax = serde_json::from_str::<serde::de::IgnoredAny>(text).err();
    if let Some(error) = syntax.as_ref().or((!error.is_data()).then_some(error)) {
        let (line, column) = (error.line(), error.column());
        return malformed(format!("the body is not well-formed JSON at line {line}, column {column}"));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Err(error) => unprocessable(shape::violation(error.path(), &error.inner().to_string())),
        // Only a type that does not decode alike twice gets here; its first word counts.
        Ok(_) => unprocessable(shape::violation_at(String::new(), &error.to_string())),
    }
}

fn malformed(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "json.malformed", detail)
}

fn unprocessable(violation: Violation) -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "request.invalid",
        "the request's content is not valid; see errors",
    )
    .with_errors(vec![violation])
}

/// Whether arrays and objects are nested more deeply than that.
fn is_deeper_than(json: &[u8], depth_max: usize) -> bool {
    // Both opening brackets become `{` by this bit, and whoever opens fewer cannot be deeper. The count is a
    // handful of vector instructions; nearly every body is done with it.
    if json.iter().filter(|&&byte| byte | 0x20 == b'{').count() <= depth_max {
        return false;
    }
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for &byte in json {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'[' | b'{' => {
                depth += 1;
                if depth > depth_max {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Whether some text in well-formed JSON has the character NUL, which can only be there as `\u0000`.
fn has_escaped_nul(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|&byte| byte == b'\\') {
        if rest[at..].starts_with(b"\\u0000") {
            return true;
        }
        // The character after a backslash is never the beginning of another escape.
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_of_texts() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(!is_deeper_than(nested(64).as_bytes(), 64));
        assert!(is_deeper_than(nested(65).as_bytes(), 64));
        assert!(!is_deeper_than(br#"["[[[[\"[[[["]"#, 1));
        assert!(is_deeper_than(br#"["\\",[1]]"#, 1));
        assert!(!is_deeper_than(br#"[{},{},{},[]]"#, 2));
    }

    #[test]
    fn nul_is_found_behind_other_escapes_only_when_it_is_one() {
        assert!(has_escaped_nul(br#""a\u0000b""#));
        assert!(has_escaped_nul(br#""\\\u0000""#));
        assert!(!has_escaped_nul(br#""\\u0000""#));
        assert!(!has_escaped_nul(br#""\n\u0001""#));
    }

    #[test]
    fn what_counts_as_json() {
        for good in ["application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json"] {
            assert!(is_json(good), "{good}");
        }
        for bad in ["text/json", "application/json; charset=latin1", "application/+json", "text/plain", ""] {
            assert!(!is_json(bad), "{bad}");
        }
    }
}
