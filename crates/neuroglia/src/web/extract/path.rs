//! Parameters of the path.

use axum::extract::FromRequestParts;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::web::problem::Problem;

/// The parameters of the path: one value, a tuple, or a struct with their names.
///
/// A parameter that cannot be read as its type is 404, like one of the right form that leads nowhere: an id of
/// another shape is an id of nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path<T>(pub T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(refused(rejection)),
        }
    }
}

#[cold]
fn refused(rejection: PathRejection) -> Problem {
    let PathRejection::FailedToDeserializePathParams(failed) = rejection else {
        return Problem::internal(rejection.body_text());
    };
    match failed.kind() {
        ErrorKind::InvalidUtf8InPathParam { .. } => {
            Problem::new(StatusCode::BAD_REQUEST, "path.malformed", "the path is not UTF-8")
        }
        // The action asks for other parameters than its path has.
        ErrorKind::WrongNumberOfParameters { .. } | ErrorKind::UnsupportedType { .. } => {
            Problem::internal(failed.body_text())
        }
        _ => Problem::new(StatusCode::NOT_FOUND, "path.invalid", "there is nothing at this path"),
    }
}
