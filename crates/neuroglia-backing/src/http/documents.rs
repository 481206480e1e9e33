//! Documents that others publish, read by HTTP.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::clock::Clock;
use neuroglia::documents::Documents;
use neuroglia::error::{Error, Result};
use neuroglia::id::Ids;
use neuroglia::settings::ByteSize;
use rustls::ClientConfig;
use serde_json::Value;
use url::Url;

use super::options::check_url;
use super::{ServiceClient, ServiceError, ServiceOptions};
use crate::tls::client_config;

/// How large a document may be: a set of keys has some kilobytes.
const BYTES_MAX: ByteSize = ByteSize::from_bytes(256 * 1024);

/// How long it may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Reads documents at any URL, each once when it is asked for: whoever asks decides how often.
///
/// They are read seldom and from anywhere, so that no connection, breaker or budget is kept for the next time.
#[derive(Debug, Clone)]
pub struct HttpDocuments {
    tls: ClientConfig,
    clock: Clock,
    ids: Ids,
}

impl HttpDocuments {
    /// Nothing is read before somebody asks. Certificates are verified against the public authorities, or only those in
    /// a PEM file.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](neuroglia::error::ErrorKind::Invalid) for a file of authorities that cannot be used.
    pub fn new(authority: Option<&Path>, clock: Clock, ids: Ids) -> Result<Self> {
        Ok(Self { tls: client_config(authority)?, clock, ids })
    }

    async fn read(&self, url: &Url) -> Result<Value, ServiceError> {
        let mut place = url.clone();
        place.set_query(None);
        place.set_fragment(None);
        check_url(&place)
            .map_err(|problem| ServiceError::Request { service: "documents", source: problem.into() })?;
        let options = ServiceOptions::new("documents", place).attempts_max(1).concurrent_max(1);
        let options = options.attempt_timeout(TIMEOUT).timeout(TIMEOUT).reply_max(BYTES_MAX);
        let client = ServiceClient::over(self.tls.clone(), options, self.clock.clone(), self.ids.clone())?;
        let call =
            url.query_pairs().fold(client.get([""; 0]), |call, (name, value)| call.query(&name, &value));
        // Many serve it as a plain file, by whatever content type.
        let reply = call.send().await?.success()?;
        serde_json::from_slice(reply.body())
            .map_err(|_| ServiceError::Unreadable { service: "documents", what: "is not JSON".to_owned() })
    }
}

#[async_trait]
impl Documents for HttpDocuments {
    async fn get(&self, url: &Url) -> Result<Value> {
        // Whatever was answered instead of a document, it is not there now.
        self.read(url).await.map_err(Error::unavailable)
    }
}
