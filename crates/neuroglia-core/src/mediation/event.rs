//! Handlers of domain events that run inside the unit of work.

use std::any::TypeId;
use std::collections::HashMap;
use std::future::Future;
use std::marker::PhantomData;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::data::{Ending, UnitOfWork};
use crate::di::{Inject, Scope};
use crate::domain::{AnyEvent, DomainEvent};
use crate::error::{Error, Result, chain};
use crate::work::Finish;

/// Reacts to an event.
///
/// Listed with [`Messages::event`](super::Messages::event) it runs inside the unit of work that raised the
/// event, before the commit: what it saves is committed with it, and when it fails nothing is. Listed with
/// [`Messages::every_event`](super::Messages::every_event) for [`AnyEvent`] it sees all events.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle the event `{E}`",
    note = "write `impl EventHandler<{E}> for {Self}`"
)]
pub trait EventHandler<E>: Inject {
    /// Reacts to it.
    fn handle(&self, event: &E) -> impl Future<Output = Result<()>> + Send;
}

/// How often events may raise further events in one unit of work; more is a circle.
const EVENT_ROUNDS_MAX: u32 = 32;

/// Runs something as a command of its own: what it saves, what the events' handlers save, and the end of the piece
/// of work that it is, are committed as one batch. The action gives the work's result, as JSON text.
pub(crate) async fn as_command(
    scope: &Scope,
    finish: Finish,
    action: impl Future<Output = Result<Option<String>>>,
) -> Result<()> {
    const NAME: &str = "durable work";
    let work = scope.get::<UnitOfWork>()?;
    let handlers = scope.get::<EventHandlers>()?;
    let command = work.begin(NAME)?;
    let done = async {
        let result = action.await?;
        handlers.handle_raised(scope, &work, NAME).await?;
        Ok(result)
    };
    let result = command.run(done).await?;
    command.commit(Ending { completion: None, finish: Some(Finish { result, ..finish }) }).await
}

/// The application's event handlers, by event.
#[derive(Default)]
pub(crate) struct EventHandlers {
    of: HashMap<TypeId, Vec<Box<dyn Reaction>>>,
    of_every: Vec<Box<dyn Reaction>>,
}

impl EventHandlers {
    /// Gives whether the handler was not there already.
    pub(super) fn on<E: DomainEvent, H: EventHandler<E>>(&mut self) -> bool {
        add(self.of.entry(TypeId::of::<E>()).or_default(), On::<E, H>(PhantomData))
    }

    /// Gives whether the handler was not there already.
    pub(super) fn on_every<H: EventHandler<AnyEvent>>(&mut self) -> bool {
        add(&mut self.of_every, OnEvery::<H>(PhantomData))
    }

    /// Runs the handlers of everything that was raised in the unit of work, and of what they raise in turn.
    pub(super) async fn handle_raised(&self, scope: &Scope, work: &UnitOfWork, name: &str) -> Result<()> {
        for _ in 0..EVENT_ROUNDS_MAX {
            let raised = work.take_raised()?;
            if raised.is_empty() {
                return Ok(());
            }
            self.handle_all(scope, raised.iter().map(|raised| &raised.event)).await?;
        }
        Err(Error::internal(format!("the events of `{name}` raise each other without end")))
    }

    /// Runs every handler of every event, one after another; a failing one does not keep the others from it.
    async fn handle_all(&self, scope: &Scope, events: impl Iterator<Item = &AnyEvent> + Send) -> Result<()> {
        let mut failed: Option<Error> = None;
        for event in events {
            let own = self.of.get(&event.value_type()).into_iter().flatten();
            for reaction in own.chain(&self.of_every) {
                if let Err(error) = reaction.run(scope, event).await {
                    // The first failure is the command's; the others would be lost with it.
                    match &failed {
                        Some(_) => tracing::error!(
                            event.name = event.name(),
                            error = chain(&error),
                            "a further event handler failed"
                        ),
                        None => failed = Some(error),
                    }
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

fn add(reactions: &mut Vec<Box<dyn Reaction>>, reaction: impl Reaction + 'static) -> bool {
    let is_new = reactions.iter().all(|other| other.handler() != reaction.handler());
    if is_new {
        reactions.push(Box::new(reaction));
    }
    is_new
}

trait Reaction: Send + Sync {
    fn run<'a>(&'a self, scope: &'a Scope, event: &'a AnyEvent) -> BoxFuture<'a, Result<()>>;
    fn handler(&self) -> TypeId;
}

struct On<E, H>(PhantomData<fn() -> (E, H)>);

impl<E: DomainEvent, H: EventHandler<E>> Reaction for On<E, H> {
    fn run<'a>(&'a self, scope: &'a Scope, event: &'a AnyEvent) -> BoxFuture<'a, Result<()>> {
        async move {
            match event.downcast_ref::<E>() {
                Some(event) => H::inject(scope)?.handle(event).await,
                None => Ok(()),
            }
        }
        .boxed()
    }

    fn handler(&self) -> TypeId {
        TypeId::of::<H>()
    }
}

struct OnEvery<H>(PhantomData<fn() -> H>);

impl<H: EventHandler<AnyEvent>> Reaction for OnEvery<H> {
    fn run<'a>(&'a self, scope: &'a Scope, event: &'a AnyEvent) -> BoxFuture<'a, Result<()>> {
        async move { H::inject(scope)?.handle(event).await }.boxed()
    }

    fn handler(&self) -> TypeId {
        TypeId::of::<H>()
    }
}
