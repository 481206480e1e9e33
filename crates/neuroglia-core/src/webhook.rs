//! Messages between programs over HTTP, signed as the Standard Webhooks specification says.
//!
//! The sender signs id, time and body with a key that both sides have; the receiver refuses what was changed, what
//! was signed by somebody else, and what is older or younger than five minutes. A message that is sent again within
//! that time is as valid as the first: whoever receives it keeps its id, and knows a repetition by it.
//!
//! The specification is at <https://github.com/standard-webhooks/standard-webhooks>. Of its signatures only the
//! symmetric ones (`v1`) are known here; others beside them are passed over, as it asks.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};

/// The header of a message's id.
pub const ID_HEADER: &str = "webhook-id";

/// The header of the time at which it was signed, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";

/// The header of its signatures.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// How far the clocks of sender and receiver, and the way between them, may be apart: five minutes, as the
/// specification's libraries have it.
pub const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// The key that sender and receiver share: `whsec_` and the base64 of 16 bytes or more; the specification advises 24
/// to 64.
///
/// ```
/// use neuroglia_core::clock::Timestamp;
/// use neuroglia_core::webhook::WebhookKey;
///
/// let key: WebhookKey = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?;
/// let now = Timestamp::from_unix_micros(1_614_265_330_000_000);
/// let body = br#"{"test": 2432232314}"#;
/// let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", now, body);
/// assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
/// key.verify("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", &signature, body, now)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct WebhookKey(hmac::Key);

/// The fewest bytes of a key: as many as an attacker cannot guess.
const KEY_BYTES_MIN: usize = 16;

/// The most bytes of an id; a UUID has 36.
const ID_BYTES_MAX: usize = 255;

/// The most signatures that are looked at: two while a key is replaced, and some to spare.
const SIGNATURES_MAX: usize = 8;

impl WebhookKey {
    /// The signature of a message, as the value of [`SIGNATURE_HEADER`]; the time is signed in whole seconds.
    ///
    /// An id holds no full stop: it is what divides the signed text.
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let signed = signed_text(id, &at.unix_seconds().to_string(), body);
        format!("v1,{}", STANDARD.encode(hmac::sign(&self.0, &signed)))
    }

    /// Whether a message with these three headers was signed with this key, not long before or after `now`.
    ///
    /// The signatures are compared in constant time.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`] with the code `webhook.malformed`, `webhook.untimely` or `webhook.signature`.
    pub fn verify(
        &self,
        id: &str,
        timestamp: &str,
        signatures: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<()> {
        // `+1` and `01` are numbers as well, and would be other texts to sign.
        let seconds = timestamp.parse::<i64>().ok().filter(|seconds| seconds.to_string() == timestamp);
        let is_id = !id.is_empty() && id.len() <= ID_BYTES_MAX && !id.contains('.');
        let Some(seconds) = seconds.filter(|_| is_id) else {
            return Err(refused(
                "webhook.malformed",
                "the headers webhook-id, webhook-timestamp and webhook-signature must be those of Standard Webhooks",
            ));
        };
        if Duration::from_secs(seconds.abs_diff(now.unix_seconds())) > TOLERANCE {
            return Err(refused(
                "webhook.untimely",
                "webhook-timestamp is more than five minutes away from now; sign the message again",
            ));
        }
        let signed = signed_text(id, timestamp, body);
        let is_signed = signatures
            .split(' ')
            .take(SIGNATURES_MAX)
            .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok())
            .any(|signature| hmac::verify(&self.0, &signed, &signature).is_ok());
        if is_signed {
            return Ok(());
        }
        Err(refused("webhook.signature", "no signature in webhook-signature is that of the message"))
    }
}

fn signed_text(id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), timestamp.as_bytes(), body].join(&b'.')
}

fn refused(code: &'static str, detail: &'static str) -> Error {
    Error::new(ErrorKind::Unauthenticated, code, detail)
}

impl FromStr for WebhookKey {
    type Err = NotAWebhookKey;

    fn from_str(text: &str) -> Result<Self, NotAWebhookKey> {
        let encoded = text.strip_prefix("whsec_").ok_or(NotAWebhookKey)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| NotAWebhookKey)?;
        if bytes.len() < KEY_BYTES_MIN {
            return Err(NotAWebhookKey);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookKey")
    }
}

/// A text that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAWebhookKey;

impl fmt::Display for NotAWebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be whsec_ and the base64 of {KEY_BYTES_MIN} random bytes or more")
    }
}

impl std::error::Error for NotAWebhookKey {}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_micros(1_614_265_330_000_000);
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    /// From the tests of the specification's own libraries.
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    /// Verifies; gives the code of the refusal.
    fn refusal(id: &str, timestamp: &str, signatures: &str, body: &[u8]) -> Option<String> {
        key().verify(id, timestamp, signatures, body, NOW).err().map(|error| error.code().to_owned())
    }

    fn key() -> WebhookKey {
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().expect("a key")
    }

    #[test]
    fn the_signature_is_that_of_the_specification() {
        assert_eq!(key().sign(ID, NOW, BODY), SIGNATURE);
        assert_eq!(refusal(ID, "1614265330", SIGNATURE, BODY), None);
        let several = format!(
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg== v1,AAAA {SIGNATURE}"
        );
        assert_eq!(refusal(ID, "1614265330", &several, BODY), None);
    }

    #[test]
    fn what_was_changed_or_signed_by_others_is_refused() {
        let other: WebhookKey = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".parse().expect("a key");
        let refused = |id: &str, body: &[u8], signature: &str| {
            let code = refusal(id, "1614265330", signature, body);
            assert_eq!(code.as_deref(), Some("webhook.signature"), "{id} {signature:?}");
        };
        refused("msg_other", BODY, SIGNATURE);
        refused(ID, b"{}", SIGNATURE);
        refused(ID, BODY, &other.sign(ID, NOW, BODY));
        refused(ID, BODY, SIGNATURE.trim_end_matches('='));
        for unsigned in ["", "v1,", "v2,g0hM9SsE", "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="] {
            refused(ID, BODY, unsigned);
        }
    }

    #[test]
    fn what_is_older_or_younger_than_five_minutes_is_refused() {
        let signed_at = |offset: i64| {
            let at = Timestamp::from_unix_micros(NOW.unix_micros() + offset * 1_000_000);
            refusal(ID, &at.unix_seconds().to_string(), &key().sign(ID, at, BODY), BODY)
        };
        assert_eq!(signed_at(-300), None);
        assert_eq!(signed_at(300), None);
        assert_eq!(signed_at(-301).as_deref(), Some("webhook.untimely"));
        assert_eq!(signed_at(301).as_deref(), Some("webhook.untimely"));
    }

    #[test]
    fn headers_that_could_mean_another_message_are_refused() {
        for (id, timestamp) in [
            ("", "1614265330"),
            ("a.b", "1614265330"),
            (ID, "+1614265330"),
            (ID, "01614265330"),
            (ID, "1614265330.0"),
            (ID, "now"),
            (ID, ""),
        ] {
            let code = refusal(id, timestamp, SIGNATURE, BODY);
            assert_eq!(code.as_deref(), Some("webhook.malformed"), "{id:?} {timestamp:?}");
        }
    }

    #[test]
    fn a_key_is_whsec_and_base64_and_shows_itself_to_nobody() {
        for wrong in ["", "whsec_", "whsec_MfKQ9r8G", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_no base64"] {
            assert_eq!(wrong.parse::<WebhookKey>().map(drop), Err(NotAWebhookKey), "{wrong:?}");
        }
        assert_eq!(format!("{:?}", key()), "WebhookKey");
    }
}
