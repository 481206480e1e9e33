//! The store, as a resource that readiness depends on.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use neuroglia_core::data::Store;
use neuroglia_core::error::Result;

use super::{Details, Indicator};

/// Whether the store's engine answers.
pub struct StoreIndicator(Arc<dyn Store>);

impl StoreIndicator {
    /// The indicator of this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }
}

#[async_trait]
impl Indicator for StoreIndicator {
    fn name(&self) -> &str {
        "store"
    }

    fn kind(&self) -> &str {
        self.0.engine()
    }

    async fn check(&self) -> Result<Details> {
        self.0.ping().await
    }
}

impl fmt::Debug for StoreIndicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreIndicator").field(&self.0.engine()).finish()
    }
}
