//! The port to documents that others publish at a URL, such as the keys of an issuer of tokens.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;
use url::Url;

use crate::error::{Error, Result};

/// Reads documents that others publish.
///
/// An adapter bounds what an answer may take, in time and in bytes, and follows no redirect: whoever names a URL means
/// what is there.
#[async_trait]
pub trait Documents: Send + Sync {
    /// The JSON document at this URL.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::error::ErrorKind::Unavailable) when nobody answers in time, and when what is
    /// answered is no such document.
    async fn get(&self, url: &Url) -> Result<Value>;
}

/// Documents in memory, for tests.
#[derive(Debug, Default)]
pub struct MemoryDocuments {
    published: Mutex<HashMap<Url, Value>>,
    reads: AtomicU64,
}

impl MemoryDocuments {
    /// None so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Publishes a document, in place of one that was there.
    pub fn publish(&self, url: Url, document: Value) {
        self.published().insert(url, document);
    }

    /// Nobody answers any more.
    pub fn withdraw_all(&self) {
        self.published().clear();
    }

    /// How often somebody asked.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    fn published(&self) -> MutexGuard<'_, HashMap<Url, Value>> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Documents for MemoryDocuments {
    async fn get(&self, url: &Url) -> Result<Value> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.published().get(url).cloned().ok_or_else(|| Error::unavailable("nobody answers"))
    }
}
