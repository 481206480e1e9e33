//! What a request's headers ask of the edge.

use std::borrow::Cow;

use http::header::{HeaderMap, HeaderValue};

use super::settings::EdgeSettings;

/// The longest request id that is taken over.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Everything of interest, gathered in one walk over the headers: most requests have few, and then a walk is cheaper
/// than one look-up for each. What no setting asks for is left where it is.
#[derive(Debug, Default)]
pub(super) struct Asks {
    pub(super) request_id: Option<HeaderValue>,
    pub(super) traceparent: Option<HeaderValue>,
    pub(super) forwards: bool,
    pub(super) gzip: bool,
    /// None for most requests.
    pub(super) rarely: Option<Box<RarelyAsked>>,
}

/// What few requests ask.
#[derive(Debug, Default)]
pub(super) struct RarelyAsked {
    pub(super) if_none_match: Option<HeaderValue>,
    pub(super) origin: Option<HeaderValue>,
    pub(super) preflight_method: Option<HeaderValue>,
    pub(super) preflight_headers: Option<HeaderValue>,
    pub(super) user_agent: Option<HeaderValue>,
}

impl Asks {
    pub(super) fn of(headers: &HeaderMap, settings: &EdgeSettings) -> Self {
        let mut asks = Self::default();
        let is_open = !settings.allowed_origins.is_empty();
        let mut traceparents = 0_usize;
        for (name, value) in headers {
            match name.as_str() {
                "x-request-id" if is_request_id(value.as_bytes()) => {
                    asks.request_id.get_or_insert_with(|| value.clone());
                }
                "traceparent" => {
                    traceparents += 1;
                    asks.traceparent = Some(value.clone());
                }
                "accept-encoding" => asks.gzip |= accepts_gzip(value),
                "forwarded" | "x-forwarded-for" | "x-forwarded-proto" => asks.forwards = true,
                "if-none-match" => add(&mut asks.rarely().if_none_match, value),
                "origin" if is_open => asks.rarely().origin = Some(value.clone()),
                "access-control-request-method" if is_open => {
                    asks.rarely().preflight_method = Some(value.clone());
                }
                "access-control-request-headers" if is_open => {
                    add(&mut asks.rarely().preflight_headers, value);
                }
                "user-agent" if settings.log_user_agent => asks.rarely().user_agent = Some(value.clone()),
                _ => {}
            }
        }
        if traceparents > 1 {
            // Nobody can tell which of them is meant.
            asks.traceparent = None;
        }
        asks
    }

    fn rarely(&mut self) -> &mut RarelyAsked {
        self.rarely.get_or_insert_default()
    }
}

/// A header that comes several times is one list.
fn add(list: &mut Option<HeaderValue>, value: &HeaderValue) {
    *list = match list.take() {
        None => Some(value.clone()),
        Some(before) => HeaderValue::from_bytes(&[before.as_bytes(), b", ", value.as_bytes()].concat()).ok(),
    };
}

/// Ids go into logs, messages and answers: only what is harmless in all of them is taken over.
fn is_request_id(id: &[u8]) -> bool {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:/+=@".contains(byte);
    !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && id.iter().all(harmless)
}

/// Whether one header line of `Accept-Encoding` admits gzip.
pub(in crate::web) fn accepts_gzip(accept_encoding: &HeaderValue) -> bool {
    let Ok(list) = accept_encoding.to_str() else { return false };
    let mut any = false;
    for coding in list.split(',') {
        let (name, weight) = match coding.split_once(';') {
            Some((name, weight)) => (name.trim(), Cow::from(weight.to_ascii_lowercase().replace(' ', ""))),
            None => (coding.trim(), Cow::from("q=1")),
        };
        let wanted = weight.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()).is_some_and(|q| q > 0.0);
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            return wanted;
        }
        any |= name == "*" && wanted;
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_accepts_gzip() {
        let table = [
            ("gzip", true),
            ("GZIP", true),
            ("deflate, gzip;q=0.5, br", true),
            ("br, *", true),
            ("*;q=0", false),
            ("gzip;q=0", false),
            ("gzip; q=0.0, *", false),
            ("br", false),
            ("", false),
            ("identity;q=1, gzip;q=nonsense", false),
        ];
        for (text, accepts) in table {
            assert_eq!(accepts_gzip(&HeaderValue::from_static(text)), accepts, "{text}");
        }
    }

    #[test]
    fn which_request_ids_are_taken_over() {
        for good in ["7c2f", "a-b_c.d~e:f/g+h=i@j", &"x".repeat(128)] {
            assert!(is_request_id(good.as_bytes()), "{good}");
        }
        for bad in ["", "two words", "new\tline", "\"", "<b>", "a,b", "é", &"x".repeat(129)] {
            assert!(!is_request_id(bad.as_bytes()), "{bad}");
        }
    }
}
