//! What stands around every message, in an explicit order.

use std::any::{Any, TypeId, type_name};
use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::hash::BuildHasherDefault;
use std::marker::PhantomData;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::behaviours::{Authorise, Commit, Trace, Validate};
use super::idempotency::Idempotency;
use super::message::{Kind, Message};
use super::retry::RetryOnConflict;
use crate::data::Completion;
use crate::di::{Inject, Scope, ServiceCollection, TypeIdHasher};
use crate::error::{Error, Result};
use crate::identity::Identity;

/// Something that is done around every message: before, after, instead of, or again.
///
/// It is built from the scope of the message, like a handler; one that cannot be built fails the message.
///
/// ```
/// # extern crate neuroglia_core as neuroglia;
/// use neuroglia::di::Inject;
/// use neuroglia::error::Result;
/// use neuroglia::mediation::{Behaviour, Call, Next};
///
/// #[derive(Inject)]
/// struct Audit {}
///
/// impl Behaviour for Audit {
///     async fn handle(&self, call: &mut Call<'_>, next: Next<'_>) -> Result<()> {
///         let outcome = next.run(call).await;
///         tracing::info!(message.name = call.name(), ok = outcome.is_ok(), "audited");
///         outcome
///     }
/// }
/// ```
pub trait Behaviour: Inject {
    /// Whether it has anything to do with this message. One that has not is not built and costs nothing.
    fn concerns(call: &Call<'_>) -> bool {
        let _ = call;
        true
    }

    /// Handles the message, usually by running `next`, once, never or several times.
    fn handle(&self, call: &mut Call<'_>, next: Next<'_>) -> impl Future<Output = Result<()>> + Send;
}

/// Something that lets a message pass or refuses it, and has nothing to do afterwards: a behaviour without a future,
/// and so without an allocation.
///
/// It is built from the scope of the message; one that cannot be built fails the message.
///
/// ```
/// # extern crate neuroglia_core as neuroglia;
/// use neuroglia::di::Inject;
/// use neuroglia::error::{Error, Result};
/// use neuroglia::identity::Identity;
/// use neuroglia::mediation::{Call, Guard, Kind, Pipeline};
///
/// #[derive(Inject)]
/// struct ReadOnlyForGuests {
///     caller: Identity,
/// }
///
/// impl Guard for ReadOnlyForGuests {
///     fn check(&self, call: &Call<'_>) -> Result<()> {
///         if call.kind() == Kind::Command && !self.caller.is_known() {
///             return Err(Error::unauthenticated());
///         }
///         Ok(())
///     }
/// }
///
/// assert_eq!(Pipeline::empty().guard::<ReadOnlyForGuests>().names(), ["ReadOnlyForGuests"]);
/// ```
pub trait Guard: Inject {
    /// Looks at the message before it goes further inside.
    ///
    /// # Errors
    /// What the sender gets instead of an answer.
    fn check(&self, call: &Call<'_>) -> Result<()>;
}

/// The behaviours of an application, outermost first.
pub struct Pipeline {
    steps: Vec<Box<dyn Step>>,
    listed: Listed,
}

/// The messages of an application's table: those whose handlers were checked at boot.
pub(super) type Listed = HashSet<TypeId, BuildHasherDefault<TypeIdHasher>>;

impl Pipeline {
    /// No behaviours.
    pub const fn empty() -> Self {
        Self { steps: Vec::new(), listed: Listed::with_hasher(BuildHasherDefault::new()) }
    }

    /// trace → validate → authorise → idempotency → retry on conflict → unit of work.
    pub fn standard() -> Self {
        Self::empty()
            .then::<Trace>()
            .guard::<Validate>()
            .guard::<Authorise>()
            .then::<Idempotency>()
            .then::<RetryOnConflict>()
            .then::<Commit>()
    }

    /// This pipeline with one more behaviour, inside all others.
    #[must_use]
    pub fn then<B: Behaviour>(mut self) -> Self {
        self.steps.push(Box::new(Of::<B>(PhantomData)));
        self
    }

    /// This pipeline with one more guard, inside all others.
    #[must_use]
    pub fn guard<G: Guard>(mut self) -> Self {
        self.steps.push(Box::new(At::<G>(PhantomData)));
        self
    }

    /// This pipeline with `B` around `Inner`, and inside what is around `Inner`.
    ///
    /// # Panics
    /// When `Inner` is not in the pipeline.
    #[must_use]
    pub fn around<Inner: Inject, B: Behaviour>(mut self) -> Self {
        let position = self.steps.iter().position(|step| step.behaviour() == TypeId::of::<Inner>());
        let position = position.expect("the behaviour that another is put around is in the pipeline");
        self.steps.insert(position, Box::new(Of::<B>(PhantomData)));
        self
    }

    /// The names of the behaviours, outermost first.
    pub fn names(&self) -> Vec<&'static str> {
        self.steps.iter().map(|step| step.name()).collect()
    }

    /// This pipeline, for these messages.
    pub(super) fn listing(self, listed: Listed) -> Self {
        Self { listed, ..self }
    }

    /// Whether the message is one of them.
    pub(super) fn lists<M: 'static>(&self) -> bool {
        self.listed.contains(&TypeId::of::<M>())
    }

    pub(super) fn declare(&self, services: &mut ServiceCollection) {
        for step in &self.steps {
            step.declare(services);
        }
    }

    pub(super) async fn run<As, M: Message<As>>(&self, message: M, scope: &Scope) -> Result<M::Response> {
        if self.steps.is_empty() {
            return message.dispatch(scope).await;
        }
        let mut slot =
            Slot::<As, M> { message: Some(message), response: None, repeatable: false, of: PhantomData };
        let mut call =
            Call { slot: &mut slot, scope, name: short_name::<M>(), kind: M::KIND, unanswered: None };
        let next = Next { steps: &self.steps }.after_guards(&call)?;
        if !next.steps.is_empty() {
            next.run(&mut call).await?;
        } else if let Some(message) = slot.message.take() {
            // Nobody is around it who would have to be kept from knowing its type.
            return message.dispatch(scope).await;
        }
        slot.response.ok_or_else(|| {
            Error::internal(format!("a behaviour ended `{}` without an answer", short_name::<M>()))
        })
    }
}

impl Default for Pipeline {
    fn default() -> Self {
        Self::standard()
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// The name of a message: its type's, without the path.
pub(super) fn short_name<M>() -> &'static str {
    without_path(type_name::<M>())
}

fn without_path(full: &'static str) -> &'static str {
    let end = full.find('<').unwrap_or(full.len());
    full[..end].rfind("::").map_or(full, |colons| &full[colons + 2..])
}

/// What is inside a behaviour: further behaviours, and then the handler.
#[derive(Clone, Copy)]
pub struct Next<'a> {
    steps: &'a [Box<dyn Step>],
}

impl<'a> Next<'a> {
    /// Goes on with what is inside. The answer is in the call afterwards.
    ///
    /// # Errors
    /// Those of the handler and of the behaviours inside.
    pub fn run<'c>(self, call: &'c mut Call<'_>) -> BoxFuture<'c, Result<()>>
    where
        'a: 'c,
    {
        match self.after_guards(call) {
            Ok(Next { steps: [step, steps @ ..] }) => step.run(call, Next { steps }),
            Ok(Next { steps: [] }) => call.slot.dispatch(call.scope),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }

    /// What is inside the guards that come first, and the behaviours that have nothing to do.
    fn after_guards(self, call: &Call<'_>) -> Result<Self> {
        let mut steps = self.steps;
        while let [step, inside @ ..] = steps
            && !step.stays(call)?
        {
            steps = inside;
        }
        Ok(Self { steps })
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.steps.iter().map(|step| step.name())).finish()
    }
}

/// A message on its way, and its answer on the way back.
pub struct Call<'a> {
    slot: &'a mut dyn Erased,
    scope: &'a Scope,
    name: &'static str,
    kind: Kind,
    /// Where the answer is to be kept, still without its text.
    unanswered: Option<Completion>,
}

impl Call<'_> {
    /// The name of the message's type.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it changes something.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The scope in which it is handled.
    pub fn scope(&self) -> &Scope {
        self.scope
    }

    /// The message, when it is an `M` and has not gone into its handler for good.
    pub fn message<M: 'static>(&self) -> Option<&M> {
        self.slot.message()?.downcast_ref()
    }

    /// The answer, when there is one and it is an `R`.
    pub fn response<R: 'static>(&mut self) -> Option<&mut R> {
        self.slot.response().downcast_mut::<Option<R>>()?.as_mut()
    }

    /// Answers the message.
    ///
    /// # Errors
    /// When the message's answer is not an `R`.
    pub fn respond<R: 'static>(&mut self, response: R) -> Result<()> {
        match self.slot.response().downcast_mut::<Option<R>>() {
            Some(slot) => {
                *slot = Some(response);
                Ok(())
            }
            None => Err(Error::internal(format!("the answer of `{}` has another type", self.name))),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        self.slot.check()
    }

    pub(super) fn permit(&self, caller: &Identity) -> Result<()> {
        self.slot.permit(caller)
    }

    /// Has the handler get copies of the message from now on, so that it can be run again.
    pub(super) fn keep_message(&mut self) {
        self.slot.keep_message();
    }

    /// Throws away the answer of an attempt that failed.
    pub(super) fn forget_response(&mut self) {
        self.slot.forget_response();
    }

    /// Has the answer kept with the changes that it reports.
    pub(super) fn keep_answer(&mut self, unanswered: Completion) {
        self.unanswered = Some(unanswered);
    }

    /// The answer that is to be kept.
    pub(super) fn answer_to_keep(&self) -> Result<Option<Completion>> {
        let Some(unanswered) = &self.unanswered else { return Ok(None) };
        Ok(Some(Completion { response: self.slot.response_text()?, ..unanswered.clone() }))
    }

    /// Gives up keeping an answer, or notes that it is kept; gives whether there was one to keep.
    pub(super) fn take_unkept_answer(&mut self) -> bool {
        self.unanswered.take().is_some()
    }

    pub(super) fn respond_text(&mut self, text: &str) -> Result<()> {
        self.slot.respond_text(text)
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call of the {} {}", self.kind, self.name)
    }
}

/// A message and its answer, behind one pointer.
trait Erased: Send {
    fn message(&self) -> Option<&dyn Any>;
    fn response(&mut self) -> &mut dyn Any;
    fn check(&self) -> Result<()>;
    fn permit(&self, caller: &Identity) -> Result<()>;
    fn keep_message(&mut self);
    fn forget_response(&mut self);
    fn dispatch<'a>(&'a mut self, scope: &'a Scope) -> BoxFuture<'a, Result<()>>;
    fn response_text(&self) -> Result<String>;
    fn respond_text(&mut self, text: &str) -> Result<()>;
}

struct Slot<As, M: Message<As>> {
    message: Option<M>,
    response: Option<M::Response>,
    repeatable: bool,
    of: PhantomData<fn() -> As>,
}

impl<As, M: Message<As>> Erased for Slot<As, M> {
    fn message(&self) -> Option<&dyn Any> {
        self.message.as_ref().map(|message| message as _)
    }

    fn response(&mut self) -> &mut dyn Any {
        &mut self.response
    }

    fn check(&self) -> Result<()> {
        self.message.as_ref().map_or(Ok(()), M::check)
    }

    fn permit(&self, caller: &Identity) -> Result<()> {
        self.message.as_ref().map_or(Ok(()), |message| message.permit(caller))
    }

    fn keep_message(&mut self) {
        self.repeatable = true;
    }

    fn forget_response(&mut self) {
        self.response = None;
    }

    fn dispatch<'a>(&'a mut self, scope: &'a Scope) -> BoxFuture<'a, Result<()>> {
        let copy = if self.repeatable { self.message.as_ref().and_then(M::again) } else { None };
        let message = copy.or_else(|| self.message.take());
        async move {
            let message = message.ok_or_else(|| {
                Error::internal(format!("`{}` was run again, and cannot be repeated", short_name::<M>()))
            })?;
            self.response = Some(message.dispatch(scope).await?);
            Ok(())
        }
        .boxed()
    }

    fn response_text(&self) -> Result<String> {
        match &self.response {
            Some(response) => M::keep(response),
            None => Err(Error::internal("there is no answer to keep")),
        }
    }

    fn respond_text(&mut self, text: &str) -> Result<()> {
        self.response = Some(M::kept(text)?);
        Ok(())
    }
}

/// A place in the pipeline.
trait Step: Send + Sync {
    /// Whether it has to be run; when not, it has done what it had to.
    fn stays(&self, call: &Call<'_>) -> Result<bool>;
    fn run<'a>(&'a self, call: &'a mut Call<'_>, next: Next<'a>) -> BoxFuture<'a, Result<()>>;
    fn name(&self) -> &'static str;
    fn behaviour(&self) -> TypeId;
    fn declare(&self, services: &mut ServiceCollection);
}

/// The place of a behaviour: it is built and run for each call, in one allocation.
struct Of<B>(PhantomData<fn() -> B>);

impl<B: Behaviour> Step for Of<B> {
    fn stays(&self, call: &Call<'_>) -> Result<bool> {
        Ok(B::concerns(call))
    }

    fn run<'a>(&'a self, call: &'a mut Call<'_>, next: Next<'a>) -> BoxFuture<'a, Result<()>> {
        async move { B::inject(call.scope)?.handle(call, next).await }.boxed()
    }

    fn name(&self) -> &'static str {
        short_name::<B>()
    }

    fn behaviour(&self) -> TypeId {
        TypeId::of::<B>()
    }

    fn declare(&self, services: &mut ServiceCollection) {
        services.enter::<B>();
    }
}

/// The place of a guard.
struct At<G>(PhantomData<fn() -> G>);

impl<G: Guard> Step for At<G> {
    fn stays(&self, call: &Call<'_>) -> Result<bool> {
        G::inject(call.scope)?.check(call)?;
        Ok(false)
    }

    fn run<'a>(&'a self, call: &'a mut Call<'_>, next: Next<'a>) -> BoxFuture<'a, Result<()>> {
        next.run(call)
    }

    fn name(&self) -> &'static str {
        short_name::<G>()
    }

    fn behaviour(&self) -> TypeId {
        TypeId::of::<G>()
    }

    fn declare(&self, services: &mut ServiceCollection) {
        services.enter::<G>();
    }
}
