//! From a request to what an action takes; whatever does not fit is a [`Problem`](super::Problem).
//!
//! The extractors are axum's in shape and ours in their refusals, and work in any axum router. Beside
//! [`Json`], [`Path`] and [`Query`] there are [`Injected`] for services, [`IfMatch`] for the version that a caller
//! believes in, and [`Arrival`](super::edge::Arrival) for the request's ids.
//!
//! # Which status for what
//! | what | status |
//! |---|---|
//! | not JSON, not UTF-8, nested too deeply, an `If-Match` that is none | 400 |
//! | a path parameter of the wrong form | 404: no such thing can be there, and a caller must not learn more |
//! | the body is too large, also after inflating it | 413 |
//! | another content type or encoding than we read | 415 |
//! | JSON or a query of the wrong shape | 422 with the place and a stable code |

mod body;
mod if_match;
mod injected;
mod json;
mod params;
mod path;
mod query;
mod shape;

pub use body::ContentLimits;
pub use if_match::IfMatch;
pub use injected::Injected;
pub use json::Json;
pub use path::Path;
pub use query::Query;

pub(super) use body::{decoded, read};
pub(super) use json::is_json;
