//! Handlers of domain events that run inside the unit of work.

use std::any::TypeId;
use std::collections::HashMap;
use std::future::Future;
use std::marker::PhantomData;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::di::{Inject, Scope, ServiceCollection};
use crate::domain::{AnyEvent, DomainEvent};
use crate::error::{Error, Result};

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

/// The application's event handlers, by event.
#[derive(Default)]
pub(crate) struct EventHandlers {
    of: HashMap<TypeId, Vec<Box<dyn Reaction>>>,
    of_every: Vec<Box<dyn Reaction>>,
}

impl EventHandlers {
    pub(super) fn on<E: DomainEvent, H: EventHandler<E>>(&mut self) {
        self.of.entry(TypeId::of::<E>()).or_default().push(Box::new(On::<E, H>(PhantomData)));
    }

    pub(super) fn on_every<H: EventHandler<AnyEvent>>(&mut self) {
        self.of_every.push(Box::new(OnEvery::<H>(PhantomData)));
    }

    pub(super) fn declare(&self, services: &mut ServiceCollection) {
        for reaction in self.of.values().flatten().chain(&self.of_every) {
            reaction.declare(services);
        }
    }

    /// Runs every handler of every event, one after another; a failing one does not keep the others from it.
    pub(super) async fn handle_all(
        &self,
        scope: &Scope,
        events: impl Iterator<Item = &AnyEvent> + Send,
    ) -> Result<()> {
        let mut failed: Option<Error> = None;
        for event in events {
            let own = self.of.get(&event.value_type()).into_iter().flatten();
            for reaction in own.chain(&self.of_every) {
                if let Err(error) = reaction.run(scope, event).await {
                    // The first failure is the command's; the others would be lost with it.
                    match &failed {
                        Some(_) => tracing::error!(event.name = event.name(), %error, "a further event handler failed"),
                        None => failed = Some(error),
                    }
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

trait Reaction: Send + Sync {
    fn run<'a>(&'a self, scope: &'a Scope, event: &'a AnyEvent) -> BoxFuture<'a, Result<()>>;
    fn declare(&self, services: &mut ServiceCollection);
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

    fn declare(&self, services: &mut ServiceCollection) {
        services.enter::<H>();
    }
}

struct OnEvery<H>(PhantomData<fn() -> H>);

impl<H: EventHandler<AnyEvent>> Reaction for OnEvery<H> {
    fn run<'a>(&'a self, scope: &'a Scope, event: &'a AnyEvent) -> BoxFuture<'a, Result<()>> {
        async move { H::inject(scope)?.handle(event).await }.boxed()
    }

    fn declare(&self, services: &mut ServiceCollection) {
        services.enter::<H>();
    }
}
