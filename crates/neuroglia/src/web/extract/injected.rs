//! Services as arguments of a plain handler.

use axum::extract::FromRequestParts;
use http::request::Parts;
use neuroglia_core::di::{Inject, Scope};

use crate::web::problem::Problem;

/// Something from the request's scope: a service, the mediator, or who is asking.
///
/// As the parameter of a controller's action, under this name, it is checked at boot with everything else. In a
/// plain handler it is not, because axum does not tell what a handler takes: what is missing there is an internal
/// error when it is asked for.
///
/// ```
/// use neuroglia::web::{Injected, Problem};
/// use neuroglia_core::identity::Identity;
///
/// async fn whoami(Injected(caller): Injected<Identity>) -> Result<String, Problem> {
///     Ok(caller.require()?.to_owned())
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Injected<T>(pub T);

impl<T, S> FromRequestParts<S> for Injected<T>
where
    T: Inject,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(scope) = parts.extensions.get::<Scope>() else {
            return Err(Problem::internal(
                "the request has no scope: its router is not part of the application's `Web`",
            ));
        };
        Ok(Self(scope.inject()?))
    }
}
