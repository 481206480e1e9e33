//! One target's client, shared by all who call it.

use std::fmt;
use std::sync::Arc;

use neuroglia::clock::Clock;
use neuroglia::di::{Lifetime, Service, ServiceCollection};
use neuroglia::health::Indicator;
use neuroglia::id::Ids;
use neuroglia::meter::Meter;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Method, redirect, retry};
use rustls::ClientConfig;
use tokio::sync::Semaphore;
use url::Url;

use super::authority;
use super::breaker::Breaker;
use super::budget::Budget;
use super::call::Call;
use super::error::ServiceError;
use super::indicator::ServiceIndicator;
use super::meter::Counts;
use super::options::{ServiceOptions, check_url};
use super::reply::Reply;
use crate::tls;

/// The client of one service; clones share everything, the breaker too.
///
/// An application registers one for each service, and its adapters make calls by it.
#[derive(Clone)]
pub struct ServiceClient(Arc<Inner>);

pub(super) struct Inner {
    pub(super) options: ServiceOptions,
    pub(super) http: Client,
    pub(super) breaker: Breaker,
    pub(super) budget: Budget,
    pub(super) places: Semaphore,
    pub(super) counts: Counts,
    pub(super) clock: Clock,
    pub(super) ids: Ids,
}

impl ServiceClient {
    /// A client; nothing is sent before somebody calls.
    ///
    /// # Errors
    /// [`ServiceError::Request`] for a URL that [`check_url`] refuses, for a token that cannot stand in a header, and for
    /// a file of authorities that cannot be used.
    pub fn new(mut options: ServiceOptions, clock: Clock, ids: Ids) -> Result<Self, ServiceError> {
        let service = options.name;
        let fault =
            |source: Box<dyn std::error::Error + Send + Sync>| ServiceError::Request { service, source };
        check_url(&options.url).map_err(|problem| fault(problem.into()))?;
        let authority = authority::take(&mut options.url).map_err(|problem| fault(problem.into()))?;
        let tls = tls::client_config(authority.as_deref()).map_err(|cause| fault(cause.into()))?;
        Self::over(tls, options, clock, ids)
    }

    /// A client that trusts whom this says.
    pub(super) fn over(
        tls: ClientConfig,
        options: ServiceOptions,
        clock: Clock,
        ids: Ids,
    ) -> Result<Self, ServiceError> {
        let fault = |source: Box<dyn std::error::Error + Send + Sync>| ServiceError::Request {
            service: options.name,
            source,
        };
        let http = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("neuroglia/", env!("CARGO_PKG_VERSION")))
            .default_headers(credentials(&options).map_err(|cause| fault(cause.into()))?)
            .connect_timeout(options.connect_timeout)
            .pool_max_idle_per_host(options.concurrent_max)
            .redirect(redirect::Policy::none())
            // What may be repeated is decided here, not below.
            .retry(retry::never())
            .referer(false)
            .no_proxy()
            .build()
            .map_err(|cause| fault(cause.without_url().into()))?;
        Ok(Self(Arc::new(Inner {
            breaker: Breaker::new(options.name, options.failures_max, options.open_for),
            budget: Budget::new(),
            places: Semaphore::new(options.concurrent_max),
            counts: Counts::default(),
            http,
            options,
            clock,
            ids,
        })))
    }

    /// Attaches a service for the whole application: its client, what the client counts, and whether the service
    /// answers. For an application of one service; one of several wraps each client in a type of its own.
    pub fn register(services: &mut ServiceCollection, options: ServiceOptions) {
        services.add(Service::factory::<Self, (Clock, Ids), _>(Lifetime::Singleton, move |(clock, ids)| {
            Ok(Arc::new(Self::new(options.clone(), clock, ids)?))
        }));
        services.add(Service::factory::<dyn Meter, Arc<Self>, _>(Lifetime::Singleton, |client| Ok(client)));
        services.add(Service::factory::<dyn Indicator, Arc<Self>, _>(Lifetime::Singleton, |client| {
            Ok(Arc::new(ServiceIndicator::new((*client).clone())))
        }));
    }

    /// A call that reads what is at this path, each part of which is one segment, encoded.
    pub fn get(&self, path: impl IntoIterator<Item = impl AsRef<str>>) -> Call {
        self.call(Method::GET, path)
    }

    /// A call that posts to this path.
    pub fn post(&self, path: impl IntoIterator<Item = impl AsRef<str>>) -> Call {
        self.call(Method::POST, path)
    }

    /// A call that puts something at this path.
    pub fn put(&self, path: impl IntoIterator<Item = impl AsRef<str>>) -> Call {
        self.call(Method::PUT, path)
    }

    /// A call that deletes what is at this path.
    pub fn delete(&self, path: impl IntoIterator<Item = impl AsRef<str>>) -> Call {
        self.call(Method::DELETE, path)
    }

    /// A call of this method, at this path below the service's URL; without a segment, at the URL itself.
    pub fn call(&self, method: Method, path: impl IntoIterator<Item = impl AsRef<str>>) -> Call {
        Call::new(Arc::clone(&self.0), method, self.url_of(path))
    }

    fn url_of(&self, path: impl IntoIterator<Item = impl AsRef<str>>) -> Url {
        let mut url = self.0.options.url.clone();
        let mut path = path.into_iter().peekable();
        // An address of the scheme http has segments, so that there is always something to extend.
        if path.peek().is_some()
            && let Ok(mut segments) = url.path_segments_mut()
        {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// What metrics and errors call the service.
    pub fn name(&self) -> &'static str {
        self.0.options.name
    }

    /// Whether the breaker is open, or half open: calls are refused, but for those that find out.
    pub fn is_open(&self) -> bool {
        self.0.breaker.is_open()
    }

    /// Asks for the head of the root, once, whatever the breaker says.
    pub(super) async fn knock(&self) -> Result<Reply, ServiceError> {
        Call::new(Arc::clone(&self.0), Method::HEAD, self.0.options.url.clone()).knock().await
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.0.counts
    }
}

impl fmt::Debug for ServiceClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServiceClient").field(&self.name()).finish()
    }
}

/// How every call shows who is asking.
fn credentials(options: &ServiceOptions) -> Result<HeaderMap, reqwest::header::InvalidHeaderValue> {
    let mut headers = HeaderMap::new();
    if let Some(token) = &options.bearer {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}
