//! What a guest presents.

use std::convert::Infallible;

use neuroglia::web::axum::extract::FromRequestParts;
use neuroglia::web::http::request::Parts;
use neuroglia::web::openapi::{Describe, Operation};
use pizzeria_application::orders::TrackingToken;

/// The token in `X-Tracking-Token`, if there is one.
pub(super) struct Tracking(pub(super) Option<TrackingToken>);

impl<S: Send + Sync> FromRequestParts<S> for Tracking {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let token = parts.headers.get("x-tracking-token").and_then(|value| value.to_str().ok());
        Ok(Self(token.map(TrackingToken::presented)))
    }
}

impl Describe for Tracking {
    fn describe_parameter(operation: &mut Operation<'_>) {
        operation.header_parameter::<String>(
            "X-Tracking-Token",
            false,
            "the token that a guest got with the order",
        );
    }
}
