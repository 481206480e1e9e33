//! So many in so much time, by key.
//!
//! # Design notes
//! - **GCRA**: for each key only one moment is kept, the *theoretical arrival time*. A request is admitted while
//!   that moment is less than the quota's period ahead, and moves it on by one share of the period. This is a token
//!   bucket that refills continuously, without a counter to refill and without a timer.
//! - **Bounded memory**: a key is kept as a keyed hash of 64 bits, so that a long user name costs as much as a short
//!   one and no name lies in memory. Two keys that collide share a quota, by a chance that nobody can steer.
//!   When the table is full, keys whose quota is whole again go first, then those that are nearest to it: a flood of
//!   new keys cannot free a key that has used up its quota.
//! - **Each process counts by itself, and then asks** whoever counts for all ([`SharedLimits`]), if there is one. What its
//!   own count refuses the other would refuse too, so that a flood is held off without asking; and where the other is
//!   away, the own count is what is left: a client then has its quota at each process.
//! - The headers are those of `draft-ietf-httpapi-ratelimit-headers`: `RateLimit-Policy` and `RateLimit`.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use neuroglia_core::cache::{Keyspace, SharedLimits, Taken};
use neuroglia_core::clock::Clock;
use neuroglia_core::error::{Error, ErrorKind, Result, chain};
use sha2::{Digest, Sha256};

use super::edge::Arrival;

/// How many keys a limit remembers.
const KEYS_MAX: usize = 50_000;

/// So many in so much time, such as `10/60s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    requests: NonZeroU32,
    period: Duration,
}

impl Quota {
    /// So many requests in this period; all of them may come at once.
    ///
    /// # Panics
    /// When the period is shorter than a second.
    pub const fn new(requests: NonZeroU32, period: Duration) -> Self {
        assert!(period.as_secs() > 0, "a quota's period is at least a second");
        Self { requests, period }
    }

    /// What one request takes of the period.
    fn share(self) -> Duration {
        Duration::from_micros(self.share_micros().unsigned_abs())
    }

    fn period_micros(self) -> i64 {
        i64::try_from(self.period.as_micros()).unwrap_or(i64::MAX / 4)
    }

    fn share_micros(self) -> i64 {
        (self.period_micros() / i64::from(self.requests.get())).max(1)
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}s", self.requests, self.period.as_secs())
    }
}

/// A text that is not a [`Quota`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidQuota;

impl fmt::Display for InvalidQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a quota is a number of requests and a period, such as `10/60s`, `100/1m` or `1000/1h`")
    }
}

impl std::error::Error for InvalidQuota {}

impl FromStr for Quota {
    type Err = InvalidQuota;

    fn from_str(text: &str) -> Result<Self, InvalidQuota> {
        let (requests, period) = text.split_once('/').ok_or(InvalidQuota)?;
        let requests = requests.trim().parse().map_err(|_| InvalidQuota)?;
        let period = period.trim();
        let digits = period.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(period.len());
        let unit_s = match &period[digits..] {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            _ => return Err(InvalidQuota),
        };
        let number =
            if digits == 0 { 1 } else { period[..digits].parse::<u32>().map_err(|_| InvalidQuota)? };
        match u64::from(number) * unit_s {
            0 => Err(InvalidQuota),
            seconds => Ok(Self::new(requests, Duration::from_secs(seconds))),
        }
    }
}

/// A limit on how often something may be done, for each key.
///
/// ```
/// use neuroglia::web::RateLimit;
/// use neuroglia_core::clock::Clock;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let limit = RateLimit::new("auth", "2/60s".parse()?, Clock::system());
/// assert!(limit.take("ada").await.admitted());
/// assert!(limit.take("ada").await.admitted());
/// assert!(!limit.take("ada").await.admitted());
/// assert!(limit.take("bob").await.admitted());
/// # Ok::<(), neuroglia::web::InvalidQuota>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RateLimit {
    name: &'static str,
    quota: Quota,
    clock: Clock,
    hasher: RandomState,
    keys_max: usize,
    /// The theoretical arrival time of each key, in microseconds since 1970.
    arrivals: Mutex<HashMap<u64, i64>>,
    shared: Option<Shared>,
}

/// Whoever counts for all processes, and what its keys begin with.
struct Shared {
    limits: Arc<dyn SharedLimits>,
    prefix: String,
}

impl RateLimit {
    /// A limit with a name by which clients may tell it from others.
    pub fn new(name: &'static str, quota: Quota, clock: Clock) -> Self {
        Self {
            name,
            quota,
            clock,
            hasher: RandomState::new(),
            keys_max: KEYS_MAX,
            arrivals: Mutex::default(),
            shared: None,
        }
    }

    /// This limit, which counts for all processes that share these; for each by itself where there are none.
    #[must_use]
    pub fn shared_by(self, limits: Option<Arc<dyn SharedLimits>>, keyspace: &Keyspace) -> Self {
        let prefix = keyspace.key(&format!("limit:{}:", self.name));
        Self { shared: limits.map(|limits| Shared { limits, prefix }), ..self }
    }

    /// Whether it has to be waited for.
    pub(super) fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Takes one from the key's quota in this process, if any is left.
    fn take_here(&self, key: impl Hash) -> Allowance {
        let key = self.hasher.hash_one(key);
        let now = self.clock.now().unix_micros();
        let (period, share) = (self.quota.period_micros(), self.quota.share_micros());
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back must not lock anybody out for longer than a period.
        let due = arrivals.get(&key).map_or(now, |&due| due.clamp(now, now.saturating_add(period)));
        let next = due + share;
        let wait = next - period - now;
        if wait > 0 {
            return self.allowance(due - now, wait);
        }
        if arrivals.len() >= self.keys_max && !arrivals.contains_key(&key) {
            make_room(&mut arrivals, now, self.keys_max);
        }
        arrivals.insert(key, next);
        self.allowance(next - now, 0)
    }

    /// Takes one from the key's quota, if any is left: in all processes that share it, or in this one where none do.
    pub async fn take(&self, key: impl Hash) -> Allowance {
        let own = self.take_here(&key);
        let Some(Shared { limits, prefix }) = self.shared.as_ref().filter(|_| own.admitted()) else {
            return own;
        };
        let key = format!("{prefix}{}", Fingerprint::of(key));
        match limits.take(&key, self.quota.period, self.quota.share()).await {
            Ok(Taken { used, wait }) => self.allowance(micros(used), micros(wait)),
            Err(error) => {
                tracing::debug!(
                    error = chain(&error),
                    limit.name = self.name,
                    "this process counts by itself"
                );
                own
            }
        }
    }

    /// Takes one from the key's quota and has the answer to this request tell what is left.
    ///
    /// # Errors
    /// [`ErrorKind::RateLimited`], with the time to wait, when nothing is left.
    pub async fn admit(&self, arrival: &Arrival, key: impl Hash) -> Result<()> {
        let allowance = self.take(key).await;
        arrival.note(allowance);
        allowance.into_result()
    }

    /// The same, by what this process has counted.
    ///
    /// # Errors
    /// [`ErrorKind::RateLimited`], with the time to wait, when nothing is left.
    pub(super) fn admit_here(&self, arrival: &Arrival, key: impl Hash) -> Result<()> {
        let allowance = self.take_here(key);
        arrival.note(allowance);
        allowance.into_result()
    }

    fn allowance(&self, used_micros: i64, wait_micros: i64) -> Allowance {
        let left = (self.quota.period_micros() - used_micros).max(0) / self.quota.share_micros();
        Allowance {
            name: self.name,
            quota: self.quota,
            remaining: u32::try_from(left).unwrap_or(u32::MAX).min(self.quota.requests.get()),
            reset_s: seconds_up(used_micros),
            wait_s: seconds_up(wait_micros),
        }
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RateLimit {} ({})", self.name, self.quota)
    }
}

/// A key as other processes know it, by which no name and no address lies in a cache.
struct Fingerprint(Sha256);

impl Fingerprint {
    fn of(key: impl Hash) -> String {
        let mut fingerprint = Self(Sha256::new());
        key.hash(&mut fingerprint);
        fingerprint.0.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Nothing asks for it: the whole is taken.
    fn finish(&self) -> u64 {
        0
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

fn seconds_up(micros: i64) -> u64 {
    u64::try_from(micros).unwrap_or(0).div_ceil(1_000_000)
}

/// Forgets the keys whose quota is whole again, or else the eighth that is nearest to it.
fn make_room(arrivals: &mut HashMap<u64, i64>, now: i64, keys_max: usize) {
    arrivals.retain(|_, due| *due > now);
    let eighth = keys_max / 8;
    if arrivals.len() + eighth < keys_max {
        return;
    }
    let mut dues: Vec<i64> = arrivals.values().copied().collect();
    let (_, &mut limit, _) = dues.select_nth_unstable(eighth.min(arrivals.len() - 1));
    arrivals.retain(|_, due| *due > limit);
}

/// What is left of a quota after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    name: &'static str,
    quota: Quota,
    remaining: u32,
    reset_s: u64,
    wait_s: u64,
}

impl Allowance {
    /// Whether the request was within the quota.
    pub fn admitted(&self) -> bool {
        self.wait_s == 0
    }

    /// How many more are admitted at once.
    pub fn remaining(&self) -> u32 {
        self.remaining
    }

    /// After how many seconds the quota is whole again.
    pub fn reset_s(&self) -> u64 {
        self.reset_s
    }

    /// This as a result.
    ///
    /// # Errors
    /// [`ErrorKind::RateLimited`], with the time to wait, when the request was not within the quota.
    pub fn into_result(self) -> Result<()> {
        if self.admitted() {
            return Ok(());
        }
        let error = Error::new(ErrorKind::RateLimited, "rate.limited", "too many requests; wait a while");
        Err(error.with_retry_after(self.wait_s))
    }

    /// Its item of the header `RateLimit-Policy`.
    pub(super) fn policy(&self) -> String {
        format!("\"{}\";q={};w={}", self.name, self.quota.requests, self.quota.period.as_secs())
    }

    /// Its item of the header `RateLimit`.
    pub(super) fn state(&self) -> String {
        format!("\"{}\";r={};t={}", self.name, self.remaining, self.reset_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroglia_core::clock::Timestamp;

    fn limit(quota: &str) -> (RateLimit, Clock) {
        let clock = Clock::manual(Timestamp::from_unix_micros(1_000_000_000_000));
        (RateLimit::new("test", quota.parse().expect("a quota"), clock.clone()), clock)
    }

    #[test]
    fn a_quota_may_be_used_at_once_and_comes_back_in_shares() {
        let (limit, clock) = limit("3/60s");
        let taken: Vec<(bool, u32)> =
            (0..4).map(|_| limit.take_here("a")).map(|taken| (taken.admitted(), taken.remaining())).collect();
        assert_eq!(taken, [(true, 2), (true, 1), (true, 0), (false, 0)]);
        assert_eq!(limit.take_here("a").into_result().map_err(|error| error.retry_after_s()), Err(Some(20)));
        clock.advance(Duration::from_secs(20));
        assert!(limit.take_here("a").admitted());
        assert!(!limit.take_here("a").admitted());
        clock.advance(Duration::from_secs(600));
        assert_eq!(limit.take_here("a").remaining(), 2);
    }

    #[test]
    fn keys_do_not_meet() {
        let (limit, _) = limit("1/1h");
        assert!(limit.take_here(("address", 1)).admitted());
        assert!(limit.take_here(("address", 2)).admitted());
        assert!(!limit.take_here(("address", 1)).admitted());
    }

    #[test]
    fn a_flood_of_keys_neither_grows_the_table_nor_frees_who_is_refused() {
        let (mut limit, clock) = limit("2/60s");
        limit.keys_max = 64;
        limit.take_here("attacker");
        limit.take_here("attacker");
        for key in 0..10_000 {
            limit.take_here(key);
            clock.advance(Duration::from_micros(10));
        }
        assert!(limit.arrivals.lock().expect("not poisoned").len() <= 64);
        assert!(!limit.take_here("attacker").admitted());
    }

    #[test]
    fn what_a_quota_looks_like() {
        for (text, shown) in [("10/60s", "10/60s"), ("5/m", "5/60s"), (" 7 / 2h ", "7/7200s")] {
            assert_eq!(text.parse::<Quota>().map(|quota| quota.to_string()).as_deref(), Ok(shown));
        }
        for text in ["", "10", "0/1s", "1/0s", "1/s2", "-1/1s", "1/1d", "1/"] {
            assert_eq!(text.parse::<Quota>(), Err(InvalidQuota), "{text}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_lock_out() {
        let (limit, _) = limit("1/60s");
        limit.arrivals.lock().expect("not poisoned").insert(limit.hasher.hash_one("a"), i64::MAX / 2);
        assert_eq!(limit.take_here("a").into_result().map_err(|error| error.retry_after_s()), Err(Some(60)));
    }
}
