//! What every request starts from: the application's services and the way to tell who is asking.

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use http::request::Parts;
use http::{Request, Response};
use neuroglia_core::di::{Scope, Services};
use neuroglia_core::error::Result;
use neuroglia_core::hosting::Stopping;
use neuroglia_core::identity::{Correlation, IdempotencyKey, Identity};

use super::edge::{Arrival, IDEMPOTENCY_KEY, buffer_and_fingerprint, mark_replayed};
use super::event_stream::{end_with, is_event_stream};
use super::policy::Policy;
use super::problem::Problem;
use crate::auth::{Authenticator, SessionCookies};
use axum::response::IntoResponse;

/// The application, as a request sees it; a clone is one reference count.
#[derive(Clone)]
pub(crate) struct Context(Arc<Inner>);

struct Inner {
    services: Services,
    authenticator: Option<Arc<dyn Authenticator>>,
    sessions: Option<Arc<SessionCookies>>,
    /// None outside of an application, where nobody says that the end has begun.
    stopping: Option<Arc<Stopping>>,
}

impl Context {
    /// A context over started services. The [`Authenticator`] tells who is asking, or the session of a browser;
    /// without either everybody is anonymous.
    pub(crate) fn new(
        services: Services,
        authenticator: Option<Arc<dyn Authenticator>>,
        sessions: Option<Arc<SessionCookies>>,
    ) -> Self {
        let stopping = services.get::<Stopping>().ok();
        Self(Arc::new(Inner { services, authenticator, sessions, stopping }))
    }

    /// Finds out who is asking, checks the policy, opens a scope, and runs the action in it. The scope is
    /// closed when the action has answered.
    pub(super) fn enter<F, O>(
        self,
        policy: Arc<Policy>,
        request: Request<Body>,
        action: F,
    ) -> impl Future<Output = Response<Body>> + Send
    where
        F: FnOnce(Scope, Box<Parts>, Body) -> O + Send,
        O: Future<Output = Response<Body>> + Send,
    {
        let (parts, mut body) = request.into_parts();
        // Behind a pointer, so that the futures through which it goes stay small.
        let mut parts = Box::new(parts);
        async move {
            let identity = match self.identify(&mut parts).await {
                Ok(identity) => identity,
                Err(error) => return Problem::from(error).into_response(),
            };
            if let Err(error) = policy.check(&identity) {
                return Problem::from(error).into_response();
            }
            let mut idempotency = None;
            if needs_key(&parts) {
                match Box::pin(buffer_and_fingerprint(&parts, body, &identity)).await {
                    Ok((buffered, key)) => (body, idempotency) = (buffered, Some(key)),
                    Err(problem) => return problem.into_response(),
                }
            }
            let replayed = idempotency.as_ref().map(|key| key.replayed.clone());
            let scope = self.0.services.scope();
            if let Err(error) = prepare(&scope, &parts, identity, idempotency) {
                return Problem::from(error).into_response();
            }
            parts.extensions.insert(scope.clone());
            let mut response = action(scope.clone(), parts, body).await;
            scope.close().await;
            if replayed.is_some_and(|replayed| replayed.get()) {
                mark_replayed(&mut response);
            }
            match &self.0.stopping {
                Some(stopping) if is_event_stream(&response) => end_with(stopping, response),
                _ => response,
            }
        }
    }

    async fn identify(&self, parts: &mut Parts) -> Result<Identity> {
        let authorization = parts.headers.get(http::header::AUTHORIZATION);
        if let Some(sessions) = &self.0.sessions
            && let Some(presented) = sessions.presented(&parts.headers)
        {
            // Whoever sends a token means it; the session is still the one that a log-in replaces and a log-out ends.
            if authorization.is_none() {
                let identity = Box::pin(sessions.identify(parts, &presented)).await?;
                parts.extensions.insert(presented);
                return Ok(identity);
            }
            parts.extensions.insert(presented);
        }
        match &self.0.authenticator {
            None => Ok(Identity::anonymous()),
            Some(authenticator) => authenticator.authenticate(authorization).await,
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("services", &self.0.services).finish_non_exhaustive()
    }
}

/// Whether the request carries a key by which a repetition of it is recognised.
fn needs_key(parts: &Parts) -> bool {
    !parts.method.is_safe() && parts.headers.contains_key(IDEMPOTENCY_KEY)
}

/// Gives the scope what belongs to this request. What is not given stays at its default, at no cost.
fn prepare(
    scope: &Scope,
    parts: &Parts,
    identity: Identity,
    idempotency: Option<IdempotencyKey>,
) -> Result<()> {
    if identity.is_known() {
        scope.provide(identity)?;
    }
    // Only what changes something leaves traces that need the ids.
    if let Some(arrival) = parts.extensions.get::<Arrival>()
        && !parts.method.is_safe()
    {
        scope.provide(Correlation {
            request_id: Some(arrival.request_id().to_owned()),
            traceparent: Some(arrival.traceparent()),
            idempotency,
        })?;
    }
    Ok(())
}
