//! Tools for testing applications, and engines, of Neuroglia.
//!
//! [`conformance`] says what every engine of a port must do: whoever writes one runs it against theirs.
//! [`services`] starts the servers that an engine needs, and a [`Strait`] makes them ill. [`workbench`] has durable work to
//! store and to claim.

pub mod conformance;
pub mod services;
pub mod workbench;

mod test_app;

mod perilous_store;
mod store_layer;
mod strait;
mod unsteady_store;

pub use perilous_store::{Peril, Perilous, PerilousStore};
pub use store_layer::{Layered, StoreLayer};
pub use strait::{Strait, Weather};
pub use test_app::{TestApp, TestRequest, TestResponse, TestStream, environment};
pub use unsteady_store::{StoreControl, Unsteady, UnsteadyStore};

/// The programs of the guides, which are to compile and to do what their pages say.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../../../docs/guides/services.md")]
    mod services {}
    #[doc = include_str!("../../../docs/guides/messages.md")]
    mod messages {}
    #[doc = include_str!("../../../docs/guides/controllers.md")]
    mod controllers {}
    #[doc = include_str!("../../../docs/guides/work.md")]
    mod work {}
}
