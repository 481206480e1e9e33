//! A cluster of domain objects that changes as one and is kept as one document with a version.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{AnyEvent, DomainEvent};
use crate::clock::Timestamp;

/// An object that is loaded, changed and saved as a whole.
///
/// ```
/// use neuroglia_core::domain::{Aggregate, DomainEvent, Root};
/// use neuroglia_core::id::{Id, Ids};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Pizza {
///     id: Id<Pizza>,
///     name: String,
///     #[serde(skip)]
///     root: Root,
/// }
///
/// #[derive(Serialize)]
/// struct PizzaCreated { name: String }
/// impl DomainEvent for PizzaCreated { const NAME: &'static str = "pizza.created"; }
///
/// impl Aggregate for Pizza {
///     type Id = Id<Pizza>;
///     const COLLECTION: &'static str = "pizzas";
///     fn id(&self) -> &Self::Id { &self.id }
///     fn root(&self) -> &Root { &self.root }
///     fn root_mut(&mut self) -> &mut Root { &mut self.root }
/// }
///
/// let mut pizza = Pizza { id: Ids::random().next(), name: "Margherita".into(), root: Root::default() };
/// pizza.raise(PizzaCreated { name: pizza.name.clone() });
/// assert_eq!(pizza.version(), 0);
/// assert_eq!(pizza.take_events().len(), 1);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate",
    note = "implement `neuroglia::domain::Aggregate` for it: an id, a collection and a `#[serde(skip)] root: Root`"
)]
pub trait Aggregate: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The type of its id; its text is the document's key.
    type Id: fmt::Display + Clone + Send + Sync + 'static;

    /// The collection that keeps it: lower-case letters and underscores.
    const COLLECTION: &'static str;

    /// Its id.
    fn id(&self) -> &Self::Id;

    /// What the framework keeps with it.
    fn root(&self) -> &Root;

    /// What the framework keeps with it, to be changed.
    fn root_mut(&mut self) -> &mut Root;

    /// Records that something happened; it is told to others when the aggregate is saved.
    fn raise<E: DomainEvent>(&mut self, event: E) {
        self.root_mut().events.push(AnyEvent::new(event));
    }

    /// The events that were raised since the last save, in order, and forgets them.
    fn take_events(&mut self) -> Vec<AnyEvent> {
        std::mem::take(&mut self.root_mut().events)
    }

    /// The version that the aggregate has as it stands: 0 for a new one, one more with each save.
    ///
    /// After a save it is the version that the running unit of work will give it.
    fn version(&self) -> u64 {
        self.root().version()
    }
}

/// Version, times and pending events of an aggregate; not part of its document's body.
#[derive(Clone, Default)]
pub struct Root {
    loaded: Option<Stored>,
    /// How often the running unit of work had saved it, at the time of this copy; 0 when it has not.
    revision: u32,
    events: Vec<AnyEvent>,
}

#[derive(Clone, Copy)]
struct Stored {
    version: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl Root {
    /// The root of an aggregate that was read from the store.
    pub fn loaded(version: u64, created_at: Timestamp, updated_at: Timestamp) -> Self {
        Self { loaded: Some(Stored { version, created_at, updated_at }), revision: 0, events: Vec::new() }
    }

    /// The version in the store when it was read; `None` for a new one.
    ///
    /// A save does not move it, so an object that met a conflict meets it again until it is read anew.
    pub fn stored_version(&self) -> Option<u64> {
        self.loaded.map(|stored| stored.version)
    }

    /// When it was first saved; `None` for a new one.
    pub fn created_at(&self) -> Option<Timestamp> {
        self.loaded.map(|stored| stored.created_at)
    }

    /// When it was last saved; `None` for a new one.
    pub fn updated_at(&self) -> Option<Timestamp> {
        self.loaded.map(|stored| stored.updated_at)
    }

    /// Whether something was raised since the aggregate was read or saved.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    pub(crate) fn mark_saved(&mut self, revision: u32) {
        self.revision = revision;
    }

    pub(crate) fn revision(&self) -> u32 {
        self.revision
    }

    fn version(&self) -> u64 {
        match self.loaded {
            None => 0,
            Some(stored) => stored.version + u64::from(self.revision > 0),
        }
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Root").field("version", &self.version()).field("events", &self.events).finish()
    }
}

impl PartialEq for Root {
    /// Roots never tell two aggregates apart: what an aggregate is stands in its own fields.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
