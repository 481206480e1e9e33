//! The checked graph, and the services that were started from it.

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Weak};

use once_cell::sync::OnceCell;
use tokio_util::task::TaskTracker;

use super::collection::{Cast, Erased, Lifetime, Make, Service, short_name, short_type_name};
use super::disposal::{Disposals, DisposeErased};
use super::edges::Edges;
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
        self.start_telling(|_| {}).await
    }

    /// The same, which tells the name of each singleton before it is constructed: whoever bounds the start can say
    /// what it waited for.
    ///
    /// # Errors
    /// Those of [`Graph::start`].
    pub async fn start_telling(self, begin: impl Fn(&str)) -> Result<Services> {
        let edges = Edges::of(&self.services);
        let order = edges.in_order();
        let needs_scope = edges.scope_needs(&order);
        let names: Vec<String> = self.services.iter().map(|service| short_name(service.key.name)).collect();
        let (root, mut waiting) = Root::new(self.services, &needs_scope);
        let services = Services(Arc::new(root));
        let scope = services.scope();
        for index in order {
            let registration = &services.0.registrations[index];
            if registration.lifetime != Lifetime::Singleton {
                continue;
            }
            begin(&names[index]);
            let made = match waiting[index].take() {
                Some(make) => make(&scope).await,
                None => (registration.make)(&scope),
            };
            match made {
                Ok(instance) => {
                    // The transient services that it was made of live as long as it does.
                    services.0.disposals.take_over(scope.disposals());
                    if let Some(dispose) = registration.dispose {
                        services.0.disposals.push(dispose, Arc::clone(&instance));
                    }
                    // The slot is empty: each singleton is constructed once, here.
                    let _ = services.0.singletons[registration.slot].set(instance);
                }
                Err(error) => {
                    services.0.disposals.take_over(scope.disposals());
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
        let registration = self.0.find(TypeId::of::<P>()).ok_or_else(not_registered::<P>)?;
        if registration.lifetime == Lifetime::Singleton {
            return self.0.singleton(registration);
        }
        if registration.needs_scope {
            return Err(Error::internal(format!(
                "`{}` lives for one scope and cannot be taken from the root; open a scope",
                short_type_name::<P>()
            )));
        }
        let scope = self.scope();
        let instance = scope.get();
        // Nobody but the end of the application ends what was taken from the root.
        self.0.disposals.take_over(scope.disposals());
        instance
    }

    /// Ends the application's services: waits until every ended scope is disposed of, then disposes of the
    /// singletons in the reverse order of their construction.
    ///
    /// The disposal also completes when the future that waits for it is dropped. A second call waits for the
    /// first.
    pub async fn dispose(&self) {
        self.0.tracker.close();
        self.0.tracker.wait().await;
        drop(self.0.disposals.begin(&self.0.tracker));
        self.0.tracker.wait().await;
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
    /// When the application's services are being disposed of.
    pub fn scope(&self) -> Result<Scope> {
        self.0
            .upgrade()
            .filter(|root| !root.tracker.is_closed())
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
type Waiting =
    Option<Box<dyn FnOnce(&Scope) -> futures_util::future::BoxFuture<'static, Result<Erased>> + Send + Sync>>;

pub(super) struct Registration {
    pub(super) lifetime: Lifetime,
    pub(super) slot: usize,
    pub(super) make: MakeFn,
    pub(super) cast: Box<dyn std::any::Any + Send + Sync>,
    pub(super) dispose: Option<DisposeErased>,
    pub(super) is_provided: bool,
    /// Whether it is scoped, or made of something that is.
    needs_scope: bool,
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
    disposals: Disposals,
}

impl Root {
    fn new(services: Vec<Service>, needs_scope: &[bool]) -> (Self, Vec<Waiting>) {
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
                is_provided: service.is_provided,
                needs_scope: needs_scope[index],
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
            disposals: Disposals::default(),
        };
        (root, waiting)
    }

    pub(super) fn find(&self, key: TypeId) -> Option<&Registration> {
        self.by_key.get(&key).map(|found| &self.registrations[found.last])
    }

    pub(super) fn find_all(&self, key: TypeId) -> impl Iterator<Item = &Registration> {
        self.by_key
            .get(&key)
            .into_iter()
            .flat_map(|found| found.all.iter())
            .map(|&index| &self.registrations[index])
    }

    pub(super) fn singleton<P: ?Sized + Send + Sync + 'static>(
        &self,
        registration: &Registration,
    ) -> Result<Arc<P>> {
        match self.singletons[registration.slot].get() {
            Some(instance) => registration.cast(instance),
            None => Err(Error::internal(format!("`{}` is not started yet", short_type_name::<P>()))),
        }
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // Nothing is left to do after `Services::dispose`; a start that was cancelled did not get so far.
        self.disposals.begin_last(self.tracker.clone());
    }
}

impl Registration {
    pub(super) fn cast<P: ?Sized + Send + Sync + 'static>(&self, instance: &Erased) -> Result<Arc<P>> {
        self.cast
            .downcast_ref::<Cast<P>>()
            .and_then(|cast| cast(instance))
            .ok_or_else(|| Error::internal(format!("`{}` is kept as another type", short_type_name::<P>())))
    }
}

pub(super) fn not_registered<P: ?Sized>() -> Error {
    Error::internal(format!("`{}` is not registered", short_type_name::<P>()))
}

fn not_started(_: &Scope) -> Result<Erased> {
    Err(Error::internal("a singleton was asked for before it was started"))
}

/// A `TypeId` is a hash already: take its bits as they are.
#[derive(Default)]
pub(crate) struct TypeIdHasher(u64);

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
