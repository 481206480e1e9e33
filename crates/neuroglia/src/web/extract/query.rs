//! Parameters of the query.

use axum::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use super::shape;
use crate::web::problem::Problem;

/// The parameters of the query as a struct.
///
/// What is missing or does not fit is 422; the pointer names the parameter, as if the query were an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Query<T>(pub T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let fields = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(fields).map(Self).map_err(|error| {
            let violation = shape::violation(error.path(), &error.inner().to_string());
            Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "query.invalid",
                "the query's parameters are not valid; see errors",
            )
            .with_errors(vec![violation])
        })
    }
}
