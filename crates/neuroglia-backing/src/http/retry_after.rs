//! When a service wants to be asked again: `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime};

use neuroglia::clock::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// No service is believed that wants to be left alone for longer: an hour.
const PAUSE_MAX: Duration = Duration::from_secs(60 * 60);

/// How long to wait, when the answer says so.
pub(crate) fn pause(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
            let now = Duration::from_micros(u64::try_from(now.unix_micros()).ok()?);
            at.saturating_sub(now)
        }
    };
    Some(pause.min(PAUSE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_understood() {
        let now = Timestamp::from_unix_micros(784_111_770_000_000);
        for (text, expected) in [
            ("0", Some(0)),
            ("120", Some(120)),
            ("99999999", Some(3600)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(7)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("Sun Nov  6 08:49:37 1994", Some(7)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().expect("a header's value"))]);
            assert_eq!(pause(&headers, now), expected.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(pause(&HeaderMap::new(), now), None);
    }
}
