//! One call, from its request to the answer: attempts, and the pauses between them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use neuroglia::identity::Correlation;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request, Response};
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use url::Url;

use super::breaker::IsOpen;
use super::client::Inner;
use super::error::ServiceError;
use super::options::ServiceOptions;
use super::reply::{Reply, no_answer};

/// The longest pause after the first failure, and after any: it doubles in between.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// An attempt that has less time than this left is not begun: it would be a burden to the service, and tell nothing of it.
const ATTEMPT_MIN: Duration = Duration::from_millis(50);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A call that is about to be made.
#[must_use = "a call does nothing until it is sent"]
pub struct Call {
    service: Arc<Inner>,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Bytes>,
    is_repeatable: bool,
    /// What is wrong with what was put in; told when the call is sent.
    fault: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Call {
    pub(super) fn new(service: Arc<Inner>, method: Method, url: Url) -> Self {
        let is_repeatable = method.is_idempotent();
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        Self { service, method, url, headers, body: None, is_repeatable, fault: None }
    }

    /// Asks with one more pair in the query.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    /// Sends this as JSON.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(json) => self.body("application/json", json),
            Err(cause) => {
                self.fault = Some(cause.into());
                self
            }
        }
    }

    /// Sends these bytes, of this type.
    pub fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.body = Some(body.into());
        self
    }

    /// Sends one more header, in place of one of the same name.
    pub fn header(self, name: &'static str, value: &str) -> Self {
        self.with(HeaderName::from_static(name), value)
    }

    /// Gives the call a key by which the service recognises a repetition; so it may be repeated.
    pub fn idempotency_key(self, key: &str) -> Self {
        self.with(IDEMPOTENCY_KEY, key).repeatable()
    }

    /// Says that the service takes a repetition for what it is, by something else than an idempotency key.
    pub fn repeatable(self) -> Self {
        Self { is_repeatable: true, ..self }
    }

    /// Makes the call a part of this piece of work, by its request id and its trace.
    pub fn within(mut self, correlation: &Correlation) -> Self {
        let ids = [(REQUEST_ID, &correlation.request_id), (TRACEPARENT, &correlation.traceparent)];
        for (name, id) in ids {
            // An id that cannot stand in a header is none that the other side could do anything with.
            if let Some(value) = id.as_deref().and_then(|id| HeaderValue::from_str(id).ok()) {
                self.headers.insert(name, value);
            }
        }
        self
    }

    fn with(mut self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => {
                self.headers.insert(name, value);
            }
            Err(cause) => self.fault = Some(cause.into()),
        }
        self
    }

    /// Makes the call, and repeats it where that is safe and may help.
    ///
    /// # Errors
    /// See [`ServiceError`]. A refusal that another try would not change (most of 4xx) is no error here: its caller may
    /// want to know why.
    pub async fn send(mut self) -> Result<Reply, ServiceError> {
        if let Some(source) = self.fault.take() {
            return Err(ServiceError::Request { service: self.service.options.name, source });
        }
        let counts = &self.service.counts;
        let (began, _in_flight) = (Instant::now(), counts.begin());
        let outcome = self.attempts(began + self.service.options.timeout).await;
        counts.end(&outcome, began.elapsed());
        outcome
    }

    async fn attempts(&self, deadline: Instant) -> Result<Reply, ServiceError> {
        let Inner { options, places, budget, counts, .. } = &*self.service;
        let Ok(Ok(_place)) = timeout_at(deadline, places.acquire()).await else {
            return Err(ServiceError::Busy { service: options.name });
        };
        if !leaves_time(Instant::now(), deadline, options) {
            return Err(ServiceError::Busy { service: options.name });
        }
        budget.deposit();
        let mut attempt = 1;
        let mut outcome = self.attempt(deadline).await;
        while let Err(error) = &outcome
            && let Some(pause) = self.pause_after(error, attempt, deadline)
        {
            sleep(pause).await;
            // It may have slept longer than it was to.
            if !leaves_time(Instant::now(), deadline, options) {
                break;
            }
            counts.repeated.fetch_add(1, Relaxed);
            attempt += 1;
            match self.attempt(deadline).await {
                // It was not sent: what is known of the call is what the attempt before it met.
                Err(ServiceError::Open { .. }) => break,
                next => outcome = next,
            }
        }
        outcome
    }

    /// How long to wait until the next attempt; none when there is to be none.
    fn pause_after(&self, error: &ServiceError, attempt: u32, deadline: Instant) -> Option<Duration> {
        let Inner { options, budget, ids, .. } = &*self.service;
        let was_sent = !matches!(error, ServiceError::Open { .. });
        if !self.is_repeatable || !error.is_transient() || !was_sent || attempt >= options.attempts_max {
            return None;
        }
        let pause = error.retry_after().unwrap_or_else(|| ids.jitter(pause_max(attempt)));
        (leaves_time(Instant::now() + pause, deadline, options) && budget.withdraw()).then_some(pause)
    }

    async fn attempt(&self, deadline: Instant) -> Result<Reply, ServiceError> {
        let Inner { options, breaker, clock, .. } = &*self.service;
        let leave = breaker
            .enter(Instant::now())
            .map_err(|IsOpen(retry_after)| ServiceError::Open { service: options.name, retry_after })?;
        let limit = deadline.saturating_duration_since(Instant::now()).min(options.attempt_timeout);
        let exchange = async {
            let response = self.ask().await?;
            Reply::read(options.name, response, options.reply_max.as_usize(), clock.now()).await
        };
        let Ok(outcome) = timeout(limit, exchange).await else {
            // The call's own time was over before the attempt's was: that says nothing of the service.
            if is_an_attempts_time(limit, options) {
                leave.end(false, Instant::now());
            }
            return Err(self.late());
        };
        let is_success = !matches!(&outcome, Err(error) if error.is_of_an_ill_service());
        leave.end(is_success, Instant::now());
        outcome
    }

    /// Asks once, beside breaker, budget and places; whatever answer there is below 500 is one.
    pub(super) async fn knock(&self) -> Result<Reply, ServiceError> {
        let options = &self.service.options;
        let asked = timeout(options.attempt_timeout.min(options.timeout), self.ask()).await;
        Reply::head(options.name, asked.unwrap_or_else(|_| Err(self.late()))?)
    }

    /// Sends the request, and waits for the head of the answer.
    async fn ask(&self) -> Result<Response, ServiceError> {
        let mut request = Request::new(self.method.clone(), self.url.clone());
        *request.headers_mut() = self.headers.clone();
        *request.body_mut() = self.body.clone().map(Into::into);
        let asked = self.service.http.execute(request).await;
        asked.map_err(|cause| no_answer(self.service.options.name, cause))
    }

    fn late(&self) -> ServiceError {
        let source = "it took longer than it may".into();
        ServiceError::NoAnswer { service: self.service.options.name, may_have_arrived: true, source }
    }
}

/// The longest pause after this attempt, the first of which is 1.
fn pause_max(attempt: u32) -> Duration {
    PAUSE_FIRST.saturating_mul(1 << (attempt - 1).min(16)).min(PAUSE_MAX)
}

/// Whether an attempt that begins then has time.
fn leaves_time(begin: Instant, deadline: Instant, options: &ServiceOptions) -> bool {
    let least = ATTEMPT_MIN.min(options.attempt_timeout).min(options.timeout / 2);
    deadline.saturating_duration_since(begin) >= least
}

/// Whether it is all the time that an attempt may take, but for what the way to the service took.
fn is_an_attempts_time(limit: Duration, options: &ServiceOptions) -> bool {
    limit >= options.attempt_timeout.min(options.timeout).mul_f64(0.9)
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = self.service.options.name;
        f.debug_struct("Call")
            .field("service", &service)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_two_seconds() {
        let longest = [1, 2, 3, 4, 5, 6, 7, u32::MAX].map(|attempt| pause_max(attempt).as_millis());
        assert_eq!(longest, [100, 200, 400, 800, 1_600, 2_000, 2_000, 2_000]);
    }
}
