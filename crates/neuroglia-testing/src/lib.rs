//! Tools for testing applications, and engines, of Neuroglia.
//!
//! [`conformance`] says what every engine of a port must do: whoever writes one runs it against theirs.

pub mod conformance;

mod test_app;

pub use test_app::{TestApp, TestRequest, TestResponse, environment};
