//! The port of an attached resource that can be ill.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::Result;

/// What an implementation of [`Indicator`] is marked with.
#[doc(no_inline)]
pub use async_trait::async_trait;

/// Tells whether one attached resource answers.
///
/// Register it as `dyn Indicator`; the host asks all that are registered.
///
/// ```
/// use neuroglia_core::error::Result;
/// use neuroglia_core::health::{Details, Indicator, async_trait};
///
/// struct Oven;
///
/// #[async_trait]
/// impl Indicator for Oven {
///     fn name(&self) -> &str {
///         "oven"
///     }
///
///     fn kind(&self) -> &str {
///         "stone"
///     }
///
///     async fn check(&self) -> Result<Details> {
///         Ok(Details::new().with("temperature_celsius", 420))
///     }
/// }
/// ```
#[async_trait]
pub trait Indicator: Send + Sync {
    /// What the application calls it, such as `store`.
    fn name(&self) -> &str;

    /// What it is, such as `sqlite`; never a URL.
    fn kind(&self) -> &str;

    /// Whether requests make no sense without it.
    fn required(&self) -> bool {
        true
    }

    /// Asks it, in the cheapest way that proves it answers. What takes longer than the host waits, a second, is
    /// cancelled and counts as failed.
    ///
    /// # Errors
    /// When it does not answer. Operators see the error's code; the cause goes to the log.
    async fn check(&self) -> Result<Details>;
}

/// What operators may read about a resource that answers: names and values, no secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Details(Map<String, Value>);

impl Details {
    /// Nothing to tell.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a server says that its version is.
    pub fn of_version(version: impl Into<Value>) -> Self {
        Self::new().with("version", version)
    }

    /// This, and one more value.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
