//! Sessions: who logged in, kept outside of the process, found by an opaque id.
//!
//! # Design notes
//! - **The id is a secret, and is kept nowhere**: 244 random bits, of which only the SHA-256 is a key. Whoever reads
//!   the cache can take over nobody's session.
//! - **Everything is read and nothing trusted**: any process finds any session, and one that was ended is ended for all
//!   of them with the next request.
//! - **Two ends**: after a time without use, by the time that the engine keeps it, and after its lifetime whatever
//!   happens, by what is written in it.
//! - **A subject's sessions end together** by the *generation* that they share: a session counts only as long as the
//!   generation is the one that it was begun in. A generation that was pushed out of a full cache ends sessions, and
//!   never brings ended ones back; so does everything that is lost.
//! - **It fails closed.** What cannot be read is an error, and not the absence of a session.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use neuroglia_macros::Settings;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{CacheEngine, Keyspace};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Result};
use crate::id::Ids;
use crate::identity::Identity;
use crate::settings::Secret;

/// The largest session, as it is kept: name and roles, and not a place for an application's data.
pub const SESSION_BYTES_MAX: usize = 4 * 1024;

/// The longest text that can be an id.
const ID_BYTES_MAX: usize = 128;

/// How often a generation is looked up again that was ended or begun by another login meanwhile.
const ATTEMPTS_MAX: usize = 5;

/// How long sessions last. As the section `session` of an application's settings its variables are
/// `SESSION_IDLE_TIMEOUT` and so on.
#[derive(Debug, Clone, Settings)]
pub struct SessionSettings {
    /// How long a session lasts without being used; it may end by a quarter of it earlier.
    #[setting(default = "30m")]
    pub idle_timeout: Duration,
    /// How long a session lasts at most, whatever is done with it.
    #[setting(default = "12h")]
    pub lifetime: Duration,
}

/// What is known of whoever has an id.
#[derive(Debug, Clone)]
pub struct Session {
    /// Who logged in, with the roles that they had then.
    pub identity: Identity,
    /// When.
    pub began_at: Timestamp,
}

/// A session as it is kept.
#[derive(Serialize, Deserialize)]
struct Record {
    subject: String,
    name: String,
    roles: Vec<String>,
    began_at: Timestamp,
    generation: String,
}

/// Begins, finds and ends sessions.
///
/// ```
/// # use std::sync::Arc;
/// # use std::time::Duration;
/// # use neuroglia_core::cache::{MemoryCache, Keyspace, SessionSettings, Sessions};
/// # use neuroglia_core::{clock::Clock, id::Ids, identity::Identity};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let engine = MemoryCache::new(Default::default(), Clock::system());
/// let settings =
///     SessionSettings { idle_timeout: Duration::from_secs(1800), lifetime: Duration::from_secs(43_200) };
/// let sessions =
///     Sessions::new(Arc::new(engine), &Keyspace::of("shop"), settings, Clock::system(), Ids::random());
///
/// let id = sessions.begin(&Identity::known("u-1", "Luigi", ["chef"]), None).await?;
/// let session = sessions.find(id.expose()).await?.expect("it has begun");
/// assert!(session.identity.has_role("chef"));
///
/// sessions.end(id.expose()).await?;
/// assert!(sessions.find(id.expose()).await?.is_none());
/// # Ok::<(), neuroglia_core::error::Error>(())
/// # }).unwrap();
/// ```
pub struct Sessions {
    engine: Arc<dyn CacheEngine>,
    prefix: String,
    settings: SessionSettings,
    clock: Clock,
    ids: Ids,
}

impl Sessions {
    /// Sessions that this engine keeps.
    pub fn new(
        engine: Arc<dyn CacheEngine>,
        keyspace: &Keyspace,
        settings: SessionSettings,
        clock: Clock,
        ids: Ids,
    ) -> Self {
        Self { engine, prefix: keyspace.key(""), settings, clock, ids }
    }

    /// How long a session lasts at most.
    pub fn lifetime(&self) -> Duration {
        self.settings.lifetime
    }

    /// Begins a session of somebody who has proved who they are, and gives its id. The session that they had before is
    /// ended: an id that was known before a login is none after it.
    ///
    /// What they proved may have changed meanwhile, such as the password, and those who change it may have
    /// [ended all sessions](Self::end_all) just before this one began. So look once more whether it still holds before you
    /// give the id away; an id that nobody has opens nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`](crate::error::ErrorKind::Unauthenticated) when the identity is anonymous,
    /// `Invalid` when it is larger than [`SESSION_BYTES_MAX`], `Unavailable` when it cannot be kept.
    pub async fn begin(&self, identity: &Identity, before: Option<&str>) -> Result<Secret<String>> {
        let subject = identity.require()?;
        if let Some(before) = before {
            self.end(before).await?;
        }
        let record = Record {
            subject: subject.to_owned(),
            name: identity.name().unwrap_or_default().to_owned(),
            roles: identity.roles().to_vec(),
            began_at: self.clock.now(),
            generation: self.generation(subject).await?,
        };
        let bytes = serde_json::to_vec(&record).map_err(Error::internal)?;
        if bytes.len() > SESSION_BYTES_MAX {
            let detail = format!("a session has {SESSION_BYTES_MAX} bytes at most; shorten names or roles");
            return Err(Error::invalid("session.too_large", detail));
        }
        let id = [self.ids.token(), self.ids.token()].concat();
        let ttl = self.settings.idle_timeout.min(self.settings.lifetime);
        self.engine.set(&self.session_key(&id), Bytes::from(bytes), ttl).await?;
        Ok(Secret::new(id))
    }

    /// The session with this id, which has been used now; none when there is none, or when it has ended.
    ///
    /// # Errors
    /// `Unavailable` when that cannot be told. Nobody may be taken for anonymous, or for known, then.
    pub async fn find(&self, id: &str) -> Result<Option<Session>> {
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            return Ok(None);
        }
        let key = self.session_key(id);
        let found = self.engine.get_and_keep(&key, self.settings.idle_timeout).await?;
        // Another release may have written what this one cannot read; its session is ended.
        let Some(record) = found.and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok()) else {
            return Ok(None);
        };
        let has_lived = self.clock.now().since(record.began_at);
        let generation = self.engine.get(&self.generation_key(&record.subject)).await?;
        if has_lived >= self.settings.lifetime || generation.as_deref() != Some(record.generation.as_bytes())
        {
            // Being asked for would keep it for ever.
            self.engine.remove(&key).await?;
            return Ok(None);
        }
        let identity = Identity::known(record.subject, record.name, record.roles);
        Ok(Some(Session { identity, began_at: record.began_at }))
    }

    /// Ends a session, if there is one with this id.
    ///
    /// # Errors
    /// `Unavailable` when it may go on.
    pub async fn end(&self, id: &str) -> Result<()> {
        self.engine.remove(&self.session_key(id)).await
    }

    /// Ends every session of somebody, such as after a new password: after its commit too, because who logged in by the old
    /// one until then may have begun another.
    ///
    /// # Errors
    /// `Unavailable` when some may go on.
    pub async fn end_all(&self, subject: &str) -> Result<()> {
        self.engine.remove(&self.generation_key(subject)).await
    }

    /// The subject's generation, which is kept for as long as a session that begins now may last.
    async fn generation(&self, subject: &str) -> Result<String> {
        let key = self.generation_key(subject);
        // An engine may leave three quarters of a time, which must then be long enough.
        let ttl = self.settings.lifetime + self.settings.lifetime / 3;
        for _ in 0..ATTEMPTS_MAX {
            if let Some(found) = self.engine.get(&key).await? {
                if self.engine.keep(&key, ttl).await? {
                    return String::from_utf8(found.to_vec()).map_err(Error::internal);
                }
            } else {
                let new = self.ids.token();
                if self.engine.insert(&key, Bytes::from(new.clone()), ttl).await? {
                    return Ok(new);
                }
            }
        }
        Err(Error::unavailable("the generation of the subject's sessions was changed all the time"))
    }

    fn session_key(&self, id: &str) -> String {
        format!("{}session:{}", self.prefix, digest(id))
    }

    fn generation_key(&self, subject: &str) -> String {
        format!("{}session-generation:{}", self.prefix, digest(subject))
    }
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("engine", &self.engine.engine())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
