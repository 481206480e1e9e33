//! Where a service is, how one shows who is asking, and how long and how much a call may take.

use std::fmt;
use std::time::Duration;

use neuroglia::settings::{ByteSize, Secret};
use url::Url;

use super::authority;

/// How a service is called. The bounds have defaults that suit a service in the same region.
#[derive(Clone)]
#[must_use = "options do nothing until a client is made of them"]
pub struct ServiceOptions {
    pub(super) name: &'static str,
    pub(super) url: Url,
    pub(super) bearer: Option<Secret<String>>,
    pub(super) connect_timeout: Duration,
    pub(super) attempt_timeout: Duration,
    pub(super) timeout: Duration,
    pub(super) attempts_max: u32,
    pub(super) concurrent_max: usize,
    pub(super) reply_max: ByteSize,
    pub(super) failures_max: u32,
    pub(super) open_for: Duration,
}

impl ServiceOptions {
    /// A service by this name, which metrics and errors have, at this URL, below whose path all its addresses are. With
    /// `?cacertfile=/path/authority.pem` its certificate is verified against that authority and no other.
    pub fn new(name: &'static str, url: Url) -> Self {
        Self {
            name,
            url,
            bearer: None,
            connect_timeout: Duration::from_secs(2),
            attempt_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
            attempts_max: 3,
            concurrent_max: 32,
            reply_max: ByteSize::from_bytes(1024 * 1024),
            failures_max: 5,
            open_for: Duration::from_secs(5),
        }
    }

    /// Shows this token with each call (`Authorization: Bearer`).
    pub fn bearer(self, token: Secret<String>) -> Self {
        Self { bearer: Some(token), ..self }
    }

    /// How long it may take to connect; 2 s when not set.
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// How long one attempt may take, from connecting to the last byte of the answer; 5 s when not set.
    pub fn attempt_timeout(self, attempt_timeout: Duration) -> Self {
        Self { attempt_timeout, ..self }
    }

    /// How long a call may take, with all its attempts and the pauses between them; 10 s when not set.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// How often a call that may be repeated is tried in all; 3 when not set.
    pub fn attempts_max(self, attempts_max: u32) -> Self {
        Self { attempts_max: attempts_max.max(1), ..self }
    }

    /// How many calls run at once; the others wait for their turn within their time. 32 when not set.
    pub fn concurrent_max(self, concurrent_max: usize) -> Self {
        Self { concurrent_max: concurrent_max.max(1), ..self }
    }

    /// How large an answer may be; 1 MiB when not set.
    pub fn reply_max(self, reply_max: ByteSize) -> Self {
        Self { reply_max, ..self }
    }

    /// After how many failures in a row the breaker opens, 5 when not set, and for how long, 5 s when not set.
    pub fn breaker(self, failures_max: u32, open_for: Duration) -> Self {
        Self { failures_max: failures_max.max(1), open_for, ..self }
    }
}

impl fmt::Debug for ServiceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceOptions").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whether a service can be called at such a URL, without touching anything.
///
/// # Errors
/// What is wrong with it, as a fragment for the report of settings.
pub fn check_url(url: &Url) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("there is no service at {}: use https:// or http://", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL with credentials ends up in logs: give them in a variable of their own".to_owned());
    }
    let mut address = url.clone();
    authority::take(&mut address)?;
    if address.query().is_some() || address.fragment().is_some() {
        return Err(
            "the address of a service ends with its path: leave out what follows ? or #, other than cacertfile"
                .to_owned(),
        );
    }
    Ok(())
}
