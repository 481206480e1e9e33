//! The standard behaviours.

use std::sync::Arc;

use tracing::Instrument;

use super::event::EventHandlers;
use super::message::Kind;
use super::pipeline::{Behaviour, Call, Guard, Next};
use crate::data::{Ending, UnitOfWork};
use crate::di::Inject;
use crate::error::Result;
use crate::identity::Identity;

/// Puts a span around the message, at level debug.
#[derive(Inject)]
pub struct Trace {}

impl Behaviour for Trace {
    fn concerns(_: &Call<'_>) -> bool {
        tracing::span_enabled!(tracing::Level::DEBUG)
    }

    async fn handle(&self, call: &mut Call<'_>, next: Next<'_>) -> Result<()> {
        let span = tracing::debug_span!("message", message.name = call.name(), message.kind = %call.kind());
        let inside = span.in_scope(|| next.run(call));
        inside.instrument(span).await
    }
}

/// Refuses a message whose content cannot be accepted.
#[derive(Inject)]
pub struct Validate {}

impl Guard for Validate {
    fn check(&self, call: &Call<'_>) -> Result<()> {
        call.check()
    }
}

/// Refuses a message that the caller may not send.
#[derive(Inject)]
pub struct Authorise {
    caller: Identity,
}

impl Guard for Authorise {
    fn check(&self, call: &Call<'_>) -> Result<()> {
        call.permit(&self.caller)
    }
}

/// Has the handler's changes, the events' handlers and the kept answer committed as one batch.
///
/// The events of a command inside another wait for the end of the outermost: a handler that fails is then never
/// an inner command's failure, which the outer one may tolerate.
#[derive(Inject)]
pub struct Commit {
    work: Option<Arc<UnitOfWork>>,
    handlers: Arc<EventHandlers>,
}

impl Behaviour for Commit {
    fn concerns(call: &Call<'_>) -> bool {
        call.scope().has::<UnitOfWork>()
    }

    async fn handle(&self, call: &mut Call<'_>, next: Next<'_>) -> Result<()> {
        let Some(work) = &self.work else { return next.run(call).await };
        if call.kind() == Kind::Query {
            return work.ask(call.name(), next.run(call)).await;
        }
        let command = work.begin(call.name())?;
        if command.is_outermost() {
            let scope = call.scope().clone();
            let name = call.name();
            let handled = async {
                next.run(call).await?;
                self.handlers.handle_raised(&scope, work, name).await
            };
            command.run(handled).await?;
            // Apart from the future of what it commits, so that a command's own stays small.
            Box::pin(command.commit(Ending { completion: call.answer_to_keep()?, finish: None })).await?;
        } else {
            command.run(next.run(call)).await?;
            command.join();
        }
        call.take_unkept_answer();
        Ok(())
    }
}
