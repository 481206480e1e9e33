//! The checked graph, and the services that were started from it.

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use once_cell::sync::OnceCell;
use tokio_util::task::TaskTracker;

use super::collection::{DisposeErased, Erased, Lifetime, Make, Service, short_type_name};
use super::inject::{Dependencies, Inject};
use super::scope::Scope;
use crate::error::{Error, Result};

/// A graph that was checked and holds.
pub struct Graph {
    services: Vec<Service>,
}

impl Graph {
    pub(super) fn new(services: Vec<Service>) -> Self {
        Self { services }
    }

    /// Constructs the singletons, each after those that it needs.
    ///
    /// # Errors
    /// The first error of a factory; what was constructed before it is disposed of.
    pub async fn start(self) -> Result<Services> {
        let order = construction_order(&self.services);
        let (root, mut waiting) = Root::new(self.services);
        let services = Services(Arc::new(root));
        let scope = services.scope();
        for index in order {
            let registration = &services.0.registrations[index];
            let made = match waiting[index].take() {
                Some(make) => make(&scope).await,
                None => (registration.make)(&scope),
            };
            match made {
                Ok(instance) => {
                    services.0.track_singleton(registration, &instance);
                    // The slot is empty: each singleton is constructed once, here.
                    let _ = services.0.singletons[registration.slot].set(instance);
                }
                Err(error) => {
                    drop(scope);
                    services.dispose().await;
                    return Err(error);
                }
            }
        }
        Ok(services)
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Graph of {} services", self.services.len())
    }
}

/// Singletons so that each comes after what it needs; transient services on the way are walked through.
fn construction_order(services: &[Service]) -> Vec<usize> {
    let mut by_key: HashMap<TypeId, Vec<usize>> = HashMap::new();
    for (index, service) in services.iter().enumerate() {
        by_key.entry(service.key.id).or_default().push(index);
    }
    let mut order = Vec::new();
    let mut seen = vec![false; services.len()];
    for (index, service) in services.iter().enumerate() {
        if service.lifetime == Lifetime::Singleton {
            visit(index, services, &by_key, &mut seen, &mut order);
        }
    }
    order
}

fn visit(
    index: usize,
    services: &[Service],
    by_key: &HashMap<TypeId, Vec<usize>>,
    seen: &mut [bool],
    order: &mut Vec<usize>,
) {
    if std::mem::replace(&mut seen[index], true) {
        return;
    }
    for need in services[index].dependencies().list {
        for &target in by_key.get(&need.key.id).into_iter().flatten() {
            visit(target, services, by_key, seen, order);
        }
    }
    if services[index].lifetime == Lifetime::Singleton {
        order.push(index);
    }
}

/// An application's started services: the root of every scope.
#[derive(Clone)]
pub struct Services(pub(super) Arc<Root>);

impl Services {
    /// A new scope.
    pub fn scope(&self) -> Scope {
        Scope::new(Arc::clone(&self.0))
    }

    /// A singleton, or a transient made of singletons.
    ///
    /// # Errors
    /// When none is registered, or when it is scoped: a scoped service needs a [`Scope`].
    pub fn get<P: ?Sized + Send + Sync + 'static>(&self) -> Result<Arc<P>> {
        if let Some(registration) = self.0.find(TypeId::of::<P>())
            && registration.lifetime == Lifetime::Scoped
        {
            return Err(Error::internal(format!(
                "`{}` is scoped and cannot be taken from the root; open a scope",
                short_type_name::<P>()
            )));
        }
        self.scope().get()
    }

    /// Ends the application's services: waits until every ended scope is disposed of, then disposes of the
    /// singletons in the reverse order of their construction. A second call does nothing.
    pub async fn dispose(&self) {
        self.0.tracker.close();
        self.0.tracker.wait().await;
        let disposals = std::mem::take(&mut *self.0.disposals.lock().unwrap_or_else(PoisonError::into_inner));
        for (dispose, instance) in disposals.into_iter().rev() {
            dispose(instance).await;
        }
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Services ({})", self.0.registrations.len())
    }
}

/// Opens scopes from a place that outlives them, such as a singleton or a hosted service.
#[derive(Clone)]
pub struct ScopeFactory(Weak<Root>);

impl ScopeFactory {
    /// A new scope.
    ///
    /// # Errors
    /// When the application has ended.
    pub fn scope(&self) -> Result<Scope> {
        self.0
            .upgrade()
            .map(Scope::new)
            .ok_or_else(|| Error::unavailable("the application's services have been disposed of"))
    }
}

impl Inject for ScopeFactory {
    fn dependencies(_: &mut Dependencies) {}

    fn inject(scope: &Scope) -> Result<Self> {
        Ok(Self(Arc::downgrade(scope.root())))
    }
}

pub(super) type MakeFn = Box<dyn Fn(&Scope) -> Result<Erased> + Send + Sync>;
type Waiting = Option<
    Box<
        dyn FnOnce(&Scope) -> futures_util::future::BoxFuture<'static, Result<Erased>> + Send + Sync,
    >,
>;

pub(super) struct Registration {
    pub(super) lifetime: Lifetime,
    pub(super) slot: usize,
    pub(super) make: MakeFn,
    pub(super) cast: Box<dyn std::any::Any + Send + Sync>,
    pub(super) dispose: Option<DisposeErased>,
}

struct Found {
    last: usize,
    all: Box<[usize]>,
}

pub(super) struct Root {
    pub(super) registrations: Box<[Registration]>,
    by_key: HashMap<TypeId, Found, BuildHasherDefault<TypeIdHasher>>,
    pub(super) singletons: Box<[OnceCell<Erased>]>,
    pub(super) scoped_slots: usize,
    pub(super) tracker: TaskTracker,
    disposals: Mutex<Vec<(DisposeErased, Erased)>>,
}

impl Root {
    fn new(services: Vec<Service>) -> (Self, Vec<Waiting>) {
        let mut by_key: HashMap<TypeId, Vec<usize>> = HashMap::new();
        let (mut singleton_slots, mut scoped_slots) = (0, 0);
        let mut registrations = Vec::with_capacity(services.len());
        let mut waiting: Vec<Waiting> = Vec::with_capacity(services.len());
        for (index, service) in services.into_iter().enumerate() {
            by_key.entry(service.key.id).or_default().push(index);
            let counter = match service.lifetime {
                Lifetime::Singleton => &mut singleton_slots,
                Lifetime::Scoped | Lifetime::Transient => &mut scoped_slots,
            };
            let slot = *counter;
            // Transient services are built anew each time and have no slot.
            *counter += usize::from(service.lifetime != Lifetime::Transient);
            let (make, wait): (MakeFn, Waiting) = match service.make {
                Make::Sync(make) => (make, None),
                Make::Async(make) => (Box::new(not_started), Some(make)),
            };
            waiting.push(wait);
            registrations.push(Registration {
                lifetime: service.lifetime,
                slot,
                make,
                cast: service.cast,
                dispose: service.dispose,
            });
        }
        let by_key = by_key
            .into_iter()
            .map(|(key, all)| (key, Found { last: all[all.len() - 1], all: all.into_boxed_slice() }))
            .collect();
        let root = Self {
            registrations: registrations.into_boxed_slice(),
            by_key,
            singletons: (0..singleton_slots).map(|_| OnceCell::new()).collect(),
            scoped_slots,
            tracker: TaskTracker::new(),
            disposals: Mutex::default(),
        };
        (root, waiting)
    }

    pub(super) fn find(&self, key: TypeId) -> Option<&Registration> {
        self.by_key.get(&key).map(|found| &self.registrations[found.last])
    }

    pub(super) fn find_all(&self, key: TypeId) -> impl Iterator<Item = &Registration> {
        self.by_key.get(&key).into_iter().flat_map(|found| found.all.iter()).map(|&index| &self.registrations[index])
    }

    fn track_singleton(&self, registration: &Registration, instance: &Erased) {
        if let Some(dispose) = registration.dispose {
            self.disposals
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((dispose, Arc::clone(instance)));
        }
    }
}

fn not_started(_: &Scope) -> Result<Erased> {
    Err(Error::internal("a singleton was asked for before it was started"))
}

/// A `TypeId` is a hash already: take its bits as they are.
#[derive(Default)]
pub(super) struct TypeIdHasher(u64);

impl Hasher for TypeIdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    fn write_u64(&mut self, bits: u64) {
        self.0 = bits;
    }
}
