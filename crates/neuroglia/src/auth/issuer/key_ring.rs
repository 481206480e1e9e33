//! The keys of an issuer as this process knows them: fetched when needed, seldom, and by one for all.
//!
//! # Design notes
//! * A key that is not known is asked for once a minute at most, however many tokens name keys that nobody has: those
//!   cost an attacker nothing. As long as nothing was ever fetched it is every five seconds, because then every token
//!   waits for it.
//! * Keys are fetched again after ten minutes, beside the request that finds them old: a key that the issuer has taken
//!   back is not good for much longer, and nobody waits.
//! * An issuer that is away changes nothing about the keys that are known, however long that lasts. One that publishes
//!   no key that could verify has taken all of them back; the log warns of it.
//! * A fetch is a task of its own: a client that hangs up does not cancel it for the others.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey};
use neuroglia_core::documents::Documents;
use neuroglia_core::error::{Error, ErrorKind, Result, chain};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use url::Url;

use super::super::tokens::invalid;
use super::key_set::{self, Key};
use super::published;

/// How long nobody is asked again, once there are keys.
const PAUSE: Duration = Duration::from_secs(60);

/// How long nobody is asked again, as long as there are none.
const PAUSE_FIRST: Duration = Duration::from_secs(5);

/// After how long keys are fetched again.
const AGE_MAX: Duration = Duration::from_secs(10 * 60);

/// How long a fetch may take, with the question where the keys are.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Where an issuer's keys are.
pub(super) struct KeySource {
    pub(super) issuer: String,
    pub(super) jwks_url: Option<Url>,
}

pub(super) struct KeyRing(Arc<Inner>);

struct Inner {
    source: KeySource,
    documents: Arc<dyn Documents>,
    held: RwLock<Arc<Held>>,
    /// Whoever holds it fetches, or sees that it need not.
    fetching: Mutex<()>,
}

/// What is known.
#[derive(Default)]
struct Held {
    keys: Arc<Vec<Key>>,
    /// When the keys came.
    fetched: Option<Instant>,
    /// When the last try ended.
    tried: Option<Instant>,
    /// Why the last try failed, if it did.
    failure: Option<String>,
}

impl Held {
    fn fitting(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<DecodingKey> {
        let fitting = self.keys.iter().filter(|key| key.fits(id, algorithm));
        fitting.map(|key| key.decoding().clone()).collect()
    }

    /// Whether the issuer may be asked again.
    fn may_ask(&self) -> bool {
        let pause = if self.fetched.is_some() { PAUSE } else { PAUSE_FIRST };
        self.tried.is_none_or(|tried| tried.elapsed() >= pause)
    }

    fn is_old(&self) -> bool {
        self.fetched.is_none_or(|fetched| fetched.elapsed() >= AGE_MAX)
    }
}

impl KeyRing {
    pub(super) fn new(source: KeySource, documents: Arc<dyn Documents>) -> Self {
        Self(Arc::new(Inner { source, documents, held: RwLock::default(), fetching: Mutex::default() }))
    }

    /// The keys that may have signed a token which says this of its key; at least one.
    pub(super) async fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<Vec<DecodingKey>> {
        let held = self.0.held();
        let fitting = held.fitting(id, algorithm);
        if !fitting.is_empty() {
            if held.is_old() && held.may_ask() {
                drop(self.fetch());
            }
            return Ok(fitting);
        }
        self.renew().await?;
        let held = self.0.held();
        match (held.fitting(id, algorithm), &held.failure) {
            (fitting, _) if !fitting.is_empty() => Ok(fitting),
            (_, None) => Err(invalid()),
            (_, Some(failure)) => Err(away(failure)),
        }
    }

    /// Asks the issuer, if it is time to; tells whether it was.
    pub(super) async fn renew(&self) -> Result<bool> {
        let is_time = self.0.held().may_ask();
        if is_time {
            // It fails only when the runtime ends under it.
            self.fetch().await.map_err(Error::internal)?;
        }
        Ok(is_time)
    }

    /// How many there are, after a look when it is time for one.
    pub(super) async fn count(&self) -> Result<usize> {
        let held = self.0.held();
        if held.is_old() || held.failure.is_some() {
            self.renew().await?;
        }
        let held = self.0.held();
        held.failure.as_ref().map_or_else(|| Ok(held.keys.len()), |failure| Err(away(failure)))
    }

    fn fetch(&self) -> tokio::task::JoinHandle<()> {
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move { inner.fetch().await })
    }
}

impl Inner {
    async fn fetch(&self) {
        let _turn = self.fetching.lock().await;
        let before = self.held();
        // Somebody else has asked while we waited for our turn.
        if !before.may_ask() {
            return;
        }
        let read = timeout(FETCH_TIMEOUT, self.read()).await;
        let read =
            read.unwrap_or_else(|_| Err(Error::unavailable(format!("nothing within {FETCH_TIMEOUT:?}"))));
        // The pause begins at the end, or whoever waited for an answer that did not come would be the next to wait.
        let now = Some(Instant::now());
        let held = match read {
            Ok(keys) => {
                if !keys.is_empty() && (before.fetched.is_none() || before.failure.is_some()) {
                    tracing::info!(
                        issuer.keys = keys.len(),
                        "the keys of the issuer of access tokens are there"
                    );
                }
                Held { keys: Arc::new(keys), fetched: now, tried: now, failure: None }
            }
            Err(error) => {
                let failure = chain(&error);
                if before.failure.is_none() {
                    tracing::warn!(
                        error = failure,
                        issuer.keys = before.keys.len(),
                        "the issuer of access tokens cannot be asked for its keys; those that are known stay good"
                    );
                }
                Held {
                    keys: Arc::clone(&before.keys),
                    fetched: before.fetched,
                    tried: now,
                    failure: Some(failure),
                }
            }
        };
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(held);
    }

    /// What the issuer publishes now.
    async fn read(&self) -> Result<Vec<Key>> {
        let url = match &self.source.jwks_url {
            Some(url) => url.clone(),
            None => self.discover().await?,
        };
        let document = self.documents.get(&url).await?;
        let keys = key_set::read(&document);
        let keys = keys.ok_or_else(|| Error::unavailable("what is published is no set of keys"))?;
        if keys.is_empty() {
            tracing::warn!("the issuer publishes no key that could verify a token; all tokens are refused");
        }
        Ok(keys)
    }

    /// Where the keys are, as the issuer says (OpenID Connect Discovery 1.0, section 4).
    async fn discover(&self) -> Result<Url> {
        let issuer = &self.source.issuer;
        let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let place: Url = place.parse().map_err(Error::internal)?;
        let configuration = self.documents.get(&place).await?;
        let says = |name: &str| configuration.get(name).and_then(serde_json::Value::as_str);
        if says("issuer") != Some(issuer) {
            return Err(Error::unavailable("the configuration at the issuer's address is another issuer's"));
        }
        let keys = says("jwks_uri").and_then(|url| url.parse::<Url>().ok());
        let keys =
            keys.ok_or_else(|| Error::unavailable("the issuer's configuration names no place of keys"))?;
        // Whoever trusts https does not get keys from where anybody could put them.
        let is_worse = place.scheme() == "https" && keys.scheme() != "https";
        if is_worse || published(&keys).is_err() {
            return Err(Error::unavailable("the issuer's keys are not where they could be trusted"));
        }
        Ok(keys)
    }

    fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn away(failure: &str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "auth.issuer_unavailable",
        "the issuer of access tokens cannot be asked",
    )
    .with_source(failure.to_owned())
    .with_retry_after(PAUSE_FIRST.as_secs())
}
