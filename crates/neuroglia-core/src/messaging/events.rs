//! Events that no aggregate raises: a handler says that something happened, as part of its unit of work.

use std::fmt;
use std::sync::Arc;

use super::envelope::check_subject;
use crate::data::UnitOfWork;
use crate::di::{Dependencies, Inject, Scope};
use crate::domain::{AnyEvent, DomainEvent};
use crate::error::Result;

/// Raises events, as part of the running unit of work: an event is there if and only if the change is.
///
/// What happened to an aggregate the aggregate raises by itself; this is for what happened to none, such as the end of an
/// import. Whoever hears of it cannot tell the two apart: the handlers inside the unit of work run before the commit, and
/// the event leaves by the outbox.
///
/// ```
/// # extern crate neuroglia_core as neuroglia;
/// use neuroglia::di::Inject;
/// use neuroglia::domain::DomainEvent;
/// use neuroglia::error::Result;
/// use neuroglia::mediation::{Command, CommandHandler};
/// use neuroglia::messaging::Events;
/// use serde::Serialize;
///
/// #[derive(Serialize)]
/// struct StoreClosed { till: u32 }
/// impl DomainEvent for StoreClosed { const NAME: &'static str = "store.closed"; }
///
/// #[derive(Clone)]
/// struct CloseStore { till: u32 }
///
/// impl Command for CloseStore {
///     type Response = ();
///     type Handler = CloseStoreHandler;
/// }
///
/// #[derive(Inject)]
/// struct CloseStoreHandler {
///     events: Events,
/// }
///
/// impl CommandHandler<CloseStore> for CloseStoreHandler {
///     async fn handle(&self, CloseStore { till }: CloseStore) -> Result<()> {
///         self.events.raise("the-store", StoreClosed { till })
///     }
/// }
/// ```
pub struct Events {
    work: Arc<UnitOfWork>,
}

impl Events {
    /// Raises an event. Events of one subject keep their order, also with those of the aggregate that has this id; of
    /// different ones they leave side by side.
    ///
    /// # Errors
    /// In a query, and for a subject that no envelope can carry: an empty one, one of more than 1,024 bytes, or one with
    /// a control character. Data of more than [`EVENT_DATA_BYTES_MAX`](super::EVENT_DATA_BYTES_MAX) is refused when the
    /// command commits.
    pub fn raise<E: DomainEvent>(&self, subject: impl fmt::Display, event: E) -> Result<()> {
        let subject = subject.to_string();
        check_subject(E::NAME, &subject)?;
        self.work.raise(AnyEvent::new(event), subject)
    }
}

impl Inject for Events {
    fn dependencies(needs: &mut Dependencies) {
        needs.one::<UnitOfWork>();
    }

    fn inject(scope: &Scope) -> Result<Self> {
        Ok(Self { work: scope.get()? })
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("work", &self.work).finish()
    }
}
