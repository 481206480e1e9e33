//! Sends messages to their handlers, through the pipeline.

use std::fmt;
use std::sync::Arc;

use super::message::Message;
use super::pipeline::{Pipeline, short_name};
use crate::di::{Dependencies, Inject, Scope, WeakScope};
use crate::error::{Error, Result};

/// Sends messages within one scope; injected as a field.
///
/// A command that a handler sends joins the unit of work of the command that it handles; the handlers of its
/// events run at the end of the outermost, before the commit. Commands that are sent one after another commit one
/// after another.
#[derive(Clone)]
pub struct Mediator {
    scope: WeakScope,
    pipeline: Arc<Pipeline>,
}

impl Mediator {
    /// Has a command carried out, or a query answered.
    ///
    /// # Errors
    /// Those of the message's handler and of the behaviours around it; and when the message is not listed in the
    /// application's table of messages, because its handler's needs would never have been checked.
    ///
    /// # Panics
    /// In debug builds, when the message is not listed.
    pub async fn send<As, M: Message<As>>(&self, message: M) -> Result<M::Response> {
        if !self.pipeline.lists::<M>() {
            let name = short_name::<M>();
            debug_assert!(
                false,
                "`{name}` was sent and is not listed; add `messages.{}::<{name}>()`",
                M::KIND
            );
            return Err(Error::internal(format!("`{name}` is not listed")));
        }
        let scope = self.scope.upgrade()?;
        self.pipeline.run(message, &scope).await
    }
}

impl Inject for Mediator {
    fn dependencies(needs: &mut Dependencies) {
        needs.scope("Mediator");
        needs.one::<Pipeline>();
    }

    fn inject(scope: &Scope) -> Result<Self> {
        Ok(Self { scope: scope.downgrade(), pipeline: scope.get()? })
    }
}

impl fmt::Debug for Mediator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mediator").field("pipeline", &self.pipeline).finish_non_exhaustive()
    }
}
