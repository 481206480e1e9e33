//! Facts that an aggregate, or a handler, raises, with a stable name.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// Something that happened in the domain: raised by the [`Aggregate`](super::Aggregate) that it happened to, or by
/// [`Events`](crate::messaging::Events) when it happened to none. Its JSON has no more than
/// [`EVENT_DATA_BYTES_MAX`](crate::messaging::EVENT_DATA_BYTES_MAX); with a larger one nothing is committed.
///
/// The name and version are what leaves the process and stays in stores: they do not follow the Rust type's
/// name, so a rename loses nothing.
///
/// ```
/// use neuroglia_core::domain::DomainEvent;
/// use serde::Serialize;
///
/// #[derive(Serialize)]
/// struct OrderPlaced { order_id: String }
///
/// impl DomainEvent for OrderPlaced {
///     const NAME: &'static str = "order.created";
/// }
/// ```
pub trait DomainEvent: Serialize + Send + Sync + 'static {
    /// The stable name, such as `order.created`. The application's own prefix, which the event's type begins with
    /// ([`Origin`](crate::messaging::Origin)), is no part of it.
    const NAME: &'static str;
    /// The version of its data.
    const VERSION: u32 = 1;

    /// Makes data of this version from that of an older one; none for a version that is not known, and then a
    /// delivery waits for a release that knows it.
    fn upcast(from: u32, data: serde_json::Value) -> Option<serde_json::Value> {
        let _ = (from, data);
        None
    }
}

/// Any raised event: the concrete value and, beside it, what the outside may know of it.
#[derive(Clone)]
pub struct AnyEvent {
    name: &'static str,
    version: u32,
    value: Arc<dyn Any + Send + Sync>,
    to_json: fn(&(dyn Any + Send + Sync)) -> serde_json::Result<String>,
}

impl AnyEvent {
    pub(crate) fn new<E: DomainEvent>(event: E) -> Self {
        Self {
            name: E::NAME,
            version: E::VERSION,
            value: Arc::new(event),
            to_json: |value| match value.downcast_ref::<E>() {
                Some(event) => serde_json::to_string(event),
                None => Err(serde::ser::Error::custom("the event has another type than it was raised with")),
            },
        }
    }

    /// The stable name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The version of its data.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The concrete event, when it is an `E`.
    pub fn downcast_ref<E: DomainEvent>(&self) -> Option<&E> {
        self.value.downcast_ref()
    }

    pub(crate) fn value_type(&self) -> std::any::TypeId {
        (*self.value).type_id()
    }

    /// Its data as JSON text.
    ///
    /// # Errors
    /// When the event's own `Serialize` fails.
    pub fn to_json(&self) -> serde_json::Result<String> {
        (self.to_json)(&*self.value)
    }
}

impl fmt::Debug for AnyEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.v{}", self.name, self.version)
    }
}
