//! The API's documentation: `/openapi.json` for programs, `/docs` for people.
//!
//! The page is Swagger UI, vendored below `vendor/`: it works without a network, and what a browser runs is what
//! was reviewed. Both files are kept compressed as they are sent, so that the executable carries half a megabyte
//! and no request costs any work.
//!
//! # Design notes
//! - No script stands in the page itself, so that its `Content-Security-Policy` can forbid such scripts. Styles in
//!   the page it must allow: Swagger UI sets them.
//! - The vendored files have their version in the path and are kept by browsers for ever; the page, its script and
//!   the document are asked for each time and answered by their entity tag.

mod asset;
mod router;

pub(crate) use router::PATHS;
pub use router::router;
