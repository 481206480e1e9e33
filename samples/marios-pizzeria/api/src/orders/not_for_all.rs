//! What a route that lets everybody in does not say of its message.

use std::convert::Infallible;

use neuroglia::error::ErrorKind;
use neuroglia::web::axum::extract::FromRequestParts;
use neuroglia::web::http::request::Parts;
use neuroglia::web::openapi::{Describe, Operation};

/// The message refuses callers of some roles. It takes nothing from the request, and stands in the document.
pub(super) struct NotForAll;

impl<S: Send + Sync> FromRequestParts<S> for NotForAll {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

impl Describe for NotForAll {
    fn describe_parameter(operation: &mut Operation<'_>) {
        operation.problem(ErrorKind::Forbidden, "it is not for somebody with this role");
    }
}
