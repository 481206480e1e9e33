//! Parameters of the path.
//!
//! An action's are read where they stand in its path ([`params`]); behind a plain router they come from axum.

use axum::extract::FromRequestParts;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::params::{Params, Unfit};
use crate::web::edge::Arrival;
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
        if let Some(matched) = parts.extensions.get::<Arrival>().and_then(Arrival::matched) {
            let params = Params::of(matched, parts.uri.path());
            return params.and_then(T::deserialize).map(Self).map_err(refused);
        }
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(refused(unfit(rejection))),
        }
    }
}

#[cold]
fn refused(unfit: Unfit) -> Problem {
    match unfit {
        Unfit::NotUtf8 => Problem::new(StatusCode::BAD_REQUEST, "path.malformed", "the path is not UTF-8"),
        Unfit::Action(what) => Problem::internal(what),
        Unfit::Value => Problem::new(StatusCode::NOT_FOUND, "path.invalid", "there is nothing at this path"),
    }
}

/// What axum says, in our words.
fn unfit(rejection: PathRejection) -> Unfit {
    let PathRejection::FailedToDeserializePathParams(failed) = rejection else {
        return Unfit::Action(rejection.body_text());
    };
    match failed.kind() {
        ErrorKind::InvalidUtf8InPathParam { .. } => Unfit::NotUtf8,
        ErrorKind::WrongNumberOfParameters { .. } | ErrorKind::UnsupportedType { .. } => {
            Unfit::Action(failed.body_text())
        }
        _ => Unfit::Value,
    }
}
