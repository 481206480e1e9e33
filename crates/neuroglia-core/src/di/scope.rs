//! One unit of work's view of the services: scoped instances live here and end with it.

use std::any::TypeId;
use std::cell::OnceCell;
use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::ReentrantMutex;
use smallvec::SmallVec;
use tokio_util::task::TaskTracker;

use super::collection::{Erased, Lifetime, short_type_name};
use super::disposal::Disposals;
use super::inject::Inject;
use super::provider::{Registration, Root, not_registered};
use crate::error::{Error, Result};

/// How many scoped services a scope has room for without a further allocation; few applications have more.
const INLINE_SLOTS: usize = 8;

/// The services of one request, message, job, tick or command.
///
/// Clones are the same scope. When the work is done, [`Scope::close`] disposes of what was built in it; when the
/// work is cancelled and the last clone is dropped, the disposal goes on in a task of its own, which the end of
/// the application waits for.
#[derive(Clone)]
pub struct Scope(Arc<Inner>);

struct Inner {
    root: Arc<Root>,
    /// One lock for all: what is built takes it, and what that is made of is built under it at no further cost. Only
    /// factories run under it, and those of scoped services do not wait.
    slots: ReentrantMutex<SmallVec<[OnceCell<Erased>; INLINE_SLOTS]>>,
    disposals: Disposals,
}

impl Scope {
    pub(super) fn new(root: Arc<Root>) -> Self {
        let slots = ReentrantMutex::new((0..root.scoped_slots).map(|_| OnceCell::new()).collect());
        Self(Arc::new(Inner { root, slots, disposals: Disposals::default() }))
    }

    /// A scope beside this one, of the same application: it shares singletons only.
    pub fn sibling(&self) -> Self {
        Self::new(Arc::clone(&self.0.root))
    }

    /// The service of this type.
    ///
    /// # Errors
    /// When none is registered, or when its factory fails.
    pub fn get<P: ?Sized + Send + Sync + 'static>(&self) -> Result<Arc<P>> {
        match self.0.root.find(TypeId::of::<P>()) {
            Some(registration) => self.resolve(registration),
            None => Err(not_registered::<P>()),
        }
    }

    /// The service of this type, or none when there is none.
    ///
    /// # Errors
    /// When its factory fails.
    pub fn find<P: ?Sized + Send + Sync + 'static>(&self) -> Result<Option<Arc<P>>> {
        self.0.root.find(TypeId::of::<P>()).map(|registration| self.resolve(registration)).transpose()
    }

    /// All services of this type, in the order of registration.
    ///
    /// # Errors
    /// When a factory fails.
    pub fn all<P: ?Sized + Send + Sync + 'static>(&self) -> Result<Vec<Arc<P>>> {
        self.0.root.find_all(TypeId::of::<P>()).map(|registration| self.resolve(registration)).collect()
    }

    /// Builds something that derives `Inject` from this scope.
    ///
    /// # Errors
    /// When a factory on the way fails.
    pub fn inject<T: Inject>(&self) -> Result<T> {
        T::inject(self)
    }

    /// Gives this scope its value of a service registered by [`Service::per_scope`](super::Service::per_scope).
    ///
    /// # Errors
    /// When no such service is registered, or when the scope has its value already.
    pub fn provide<T: Send + Sync + 'static>(&self, value: T) -> Result<()> {
        let registration = self.0.root.find(TypeId::of::<T>()).ok_or_else(not_registered::<T>)?;
        if !registration.is_provided {
            return Err(Error::internal(format!("`{}` is not a value of a scope", short_type_name::<T>())));
        }
        let value: Erased = Arc::new(value);
        self.0.slots.lock()[registration.slot].set(Arc::clone(&value)).map_err(|_| {
            Error::internal(format!("the scope has its `{}` already", short_type_name::<T>()))
        })?;
        if let Some(dispose) = registration.dispose {
            self.0.disposals.push(dispose, value);
        }
        Ok(())
    }

    /// Whether there is a service of this type.
    pub(crate) fn has<P: ?Sized + 'static>(&self) -> bool {
        self.0.root.find(TypeId::of::<P>()).is_some()
    }

    /// Ends the scope: disposes of what was built in it, in the reverse order of construction.
    ///
    /// The disposal also completes when the future that waits for it is dropped.
    pub async fn close(self) {
        if let Some(disposal) = self.0.disposals.begin(&self.0.root.tracker) {
            // It ends with an error only when the runtime shuts down, and then nobody waits.
            let _ = disposal.await;
        }
    }

    /// A reference that does not keep the scope alive.
    pub fn downgrade(&self) -> WeakScope {
        WeakScope(Arc::downgrade(&self.0))
    }

    pub(super) fn root(&self) -> &Arc<Root> {
        &self.0.root
    }

    pub(super) fn disposals(&self) -> &Disposals {
        &self.0.disposals
    }

    /// Tracks tasks that the end of the application waits for.
    pub(crate) fn tracker(&self) -> &TaskTracker {
        &self.0.root.tracker
    }

    fn resolve<P: ?Sized + Send + Sync + 'static>(&self, registration: &Registration) -> Result<Arc<P>> {
        match registration.lifetime {
            Lifetime::Singleton => self.0.root.singleton(registration),
            Lifetime::Scoped => {
                let slots = self.0.slots.lock();
                let slot = &slots[registration.slot];
                let instance = match slot.get() {
                    Some(instance) => instance,
                    None => {
                        let made = self.make(registration)?;
                        slot.get_or_init(|| made)
                    }
                };
                registration.cast(instance)
            }
            Lifetime::Transient => registration.cast(&self.make(registration)?),
        }
    }

    fn make(&self, registration: &Registration) -> Result<Erased> {
        let instance = (registration.make)(self)?;
        if let Some(dispose) = registration.dispose {
            self.0.disposals.push(dispose, Arc::clone(&instance));
        }
        Ok(instance)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots = self.0.slots.lock();
        let built = slots.iter().filter(|slot| slot.get().is_some()).count();
        write!(f, "Scope ({built} of {} scoped services built)", slots.len())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.disposals.any() {
            // It goes on without this scope; the end of the application waits for it.
            drop(self.disposals.begin(&self.root.tracker));
        }
    }
}

/// A reference to a scope that does not keep it alive; what scope-bound handles such as the mediator keep.
#[derive(Clone)]
pub struct WeakScope(Weak<Inner>);

impl WeakScope {
    /// The scope, while it lasts.
    ///
    /// # Errors
    /// When the scope has ended.
    pub fn upgrade(&self) -> Result<Scope> {
        self.0.upgrade().map(Scope).ok_or_else(|| Error::internal("the scope has ended"))
    }
}

impl fmt::Debug for WeakScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakScope")
    }
}
