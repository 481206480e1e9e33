//! The list of services, before it is checked.

use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;

use super::disposal::DisposeErased;
use super::inject::{Dependencies, Inject, Key, Provides};
use super::provider::Graph;
use super::validation::{self, Entry};
use super::{Dispose, Scope};
use crate::error::Result;
use crate::fault::{Fault, Faults};

/// How long an instance lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifetime {
    /// One for the application, built at start.
    Singleton,
    /// One for each scope: a request, a message, a job, a command.
    Scoped,
    /// A new one for each consumer.
    Transient,
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Singleton => "singleton",
            Self::Scoped => "scoped",
            Self::Transient => "transient",
        })
    }
}

pub(super) type Erased = Arc<dyn Any + Send + Sync>;
type SyncMake = Box<dyn Fn(&Scope) -> Result<Erased> + Send + Sync>;
type AsyncMake = Box<dyn FnOnce(&Scope) -> BoxFuture<'static, Result<Erased>> + Send + Sync>;
pub(super) type Cast<P> = fn(&Erased) -> Option<Arc<P>>;

pub(super) enum Make {
    Sync(SyncMake),
    Async(AsyncMake),
}

/// One service: the type under which it is found, its lifetime, and how it is built.
///
/// [`ServiceCollection::add`], [`ServiceCollection::try_add`] and [`ServiceCollection::replace`] take one.
pub struct Service {
    pub(super) key: Key,
    /// The type that is built; none when an object was given, or a factory.
    pub(super) implementation: Option<Key>,
    pub(super) lifetime: Lifetime,
    pub(super) needs: fn(&mut Dependencies),
    pub(super) make: Make,
    /// A `Cast<P>` for the `P` of `key`.
    pub(super) cast: Box<dyn Any + Send + Sync>,
    pub(super) dispose: Option<DisposeErased>,
    /// Whether [`Scope::provide`] may give the instance.
    pub(super) is_provided: bool,
    fault: Option<Fault>,
}

/// Keeps an `Arc` of an unsized port behind a sized, downcastable type.
struct Held<P: ?Sized>(Arc<P>);

impl Service {
    /// A `T` for the whole application, found as `P`.
    pub fn singleton<P: ?Sized + Send + Sync + 'static, T: Inject + Provides<P>>() -> Self {
        Self::typed::<P, T>(Lifetime::Singleton)
    }

    /// A `T` for each scope, found as `P`.
    pub fn scoped<P: ?Sized + Send + Sync + 'static, T: Inject + Provides<P>>() -> Self {
        Self::typed::<P, T>(Lifetime::Scoped)
    }

    /// A new `T` for each consumer, found as `P`.
    pub fn transient<P: ?Sized + Send + Sync + 'static, T: Inject + Provides<P>>() -> Self {
        Self::typed::<P, T>(Lifetime::Transient)
    }

    /// This very value, for the whole application.
    pub fn instance<T: Send + Sync + 'static>(value: T) -> Self {
        Self::shared::<T>(Arc::new(value))
    }

    /// This very object, for the whole application, found as the port `P`.
    pub fn shared<P: ?Sized + Send + Sync + 'static>(object: Arc<P>) -> Self {
        Self::held::<P>(
            Lifetime::Singleton,
            |_| {},
            Make::Sync(Box::new(move |_| Ok(Arc::new(Held(Arc::clone(&object)))))),
        )
    }

    /// The object that `make` gives from what it asks for, found as `P`.
    pub fn factory<P, D, F>(lifetime: Lifetime, make: F) -> Self
    where
        P: ?Sized + Send + Sync + 'static,
        D: Inject,
        F: Fn(D) -> Result<Arc<P>> + Send + Sync + 'static,
    {
        let make = Make::Sync(Box::new(move |scope| Ok(Arc::new(Held(make(D::inject(scope)?)?)))));
        Self::held::<P>(lifetime, D::dependencies, make)
    }

    /// The singleton that `make` gives, run once at start; it may connect, and wait.
    pub fn connected<P, D, F, O>(make: F) -> Self
    where
        P: ?Sized + Send + Sync + 'static,
        D: Inject,
        F: FnOnce(D) -> O + Send + Sync + 'static,
        O: Future<Output = Result<Arc<P>>> + Send + 'static,
    {
        let make = Make::Async(Box::new(move |scope| {
            let made = D::inject(scope).map(make);
            async move { Ok(Arc::new(Held(made?.await?)) as Erased) }.boxed()
        }));
        Self::held::<P>(Lifetime::Singleton, D::dependencies, make)
    }

    /// The registered `T`, found as `P` as well.
    pub fn forward<P: ?Sized + Send + Sync + 'static, T: Provides<P>>() -> Self {
        Self::factory::<P, Arc<T>, _>(Lifetime::Transient, |target| Ok(target.provide()))
    }

    /// A value that whoever opens the scope gives with [`Scope::provide`]; without one, the default.
    pub fn per_scope<T: Default + Send + Sync + 'static>() -> Self {
        Self::provided::<T>(|| Arc::new(T::default()))
    }

    /// The same, but without one it is this value, which all scopes share: it costs none of them an allocation, and must
    /// have nothing to dispose of.
    pub(crate) fn per_scope_or<T: Send + Sync + 'static>(value: T) -> Self {
        let shared = Arc::new(value);
        Self::provided::<T>(move || Arc::clone(&shared))
    }

    fn provided<T: Send + Sync + 'static>(default: impl Fn() -> Arc<T> + Send + Sync + 'static) -> Self {
        Self {
            key: Key::of::<T>(),
            implementation: Some(Key::of::<T>()),
            lifetime: Lifetime::Scoped,
            needs: |_| {},
            make: Make::Sync(Box::new(move |_| Ok(default()))),
            cast: Box::new((|erased| Arc::downcast::<T>(Arc::clone(erased)).ok()) as Cast<T>),
            dispose: None,
            is_provided: true,
            fault: None,
        }
    }

    /// This service, disposed of when its scope or the application ends.
    ///
    /// `T` is the type that is built, or the type under which a factory's object is found; another is a fault.
    #[must_use]
    pub fn disposed<T: Dispose>(mut self) -> Self {
        if self.implementation.unwrap_or(self.key).id != TypeId::of::<T>() {
            self.fault = Some(validation::disposed_as_another(&self, type_name::<T>()));
        }
        self.dispose = Some(|erased| {
            async move {
                match Arc::downcast::<T>(erased) {
                    Ok(instance) => instance.dispose().await,
                    Err(erased) => {
                        if let Ok(held) = Arc::downcast::<Held<T>>(erased) {
                            held.0.dispose().await;
                        }
                    }
                }
            }
            .boxed()
        });
        self
    }

    fn typed<P: ?Sized + Send + Sync + 'static, T: Inject + Provides<P>>(lifetime: Lifetime) -> Self {
        Self {
            key: Key::of::<P>(),
            implementation: Some(Key::of::<T>()),
            lifetime,
            needs: T::dependencies,
            make: Make::Sync(Box::new(|scope| Ok(Arc::new(T::inject(scope)?)))),
            cast: Box::new(
                (|erased| Some(Arc::downcast::<T>(Arc::clone(erased)).ok()?.provide())) as Cast<P>,
            ),
            dispose: T::disposer().map(|_| dispose_typed::<T> as DisposeErased),
            is_provided: false,
            fault: None,
        }
    }

    fn held<P: ?Sized + Send + Sync + 'static>(
        lifetime: Lifetime,
        needs: fn(&mut Dependencies),
        make: Make,
    ) -> Self {
        Self {
            key: Key::of::<P>(),
            implementation: None,
            lifetime,
            needs,
            make,
            cast: Box::new((|erased| Some(Arc::clone(&erased.downcast_ref::<Held<P>>()?.0))) as Cast<P>),
            dispose: None,
            is_provided: false,
            fault: None,
        }
    }

    pub(super) fn dependencies(&self) -> Dependencies {
        let mut needs = Dependencies::default();
        (self.needs)(&mut needs);
        needs
    }

    fn is_same_as(&self, other: &Self) -> bool {
        let is_same_type = match (self.implementation, other.implementation) {
            (Some(own), Some(others)) => own.id == others.id,
            _ => false,
        };
        is_same_type && self.key.id == other.key.id
    }
}

fn dispose_typed<T: Inject>(erased: Erased) -> BoxFuture<'static, ()> {
    match (Arc::downcast::<T>(erased), T::disposer()) {
        (Ok(instance), Some(dispose)) => dispose(instance),
        _ => std::future::ready(()).boxed(),
    }
}

/// What [`ServiceCollection::describe`] tells of a service.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceDescription {
    /// The type under which it is found.
    pub service: String,
    /// The type that is built; the same, or `factory`.
    pub implementation: String,
    /// How long an instance lives.
    pub lifetime: Lifetime,
    /// The types that it needs.
    pub needs: Vec<String>,
}

/// The list of an application's services.
#[derive(Default)]
pub struct ServiceCollection {
    pub(super) services: Vec<Service>,
    pub(super) entries: Vec<Entry>,
    faults: Faults,
}

impl ServiceCollection {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// One `T` for the application, found as `P`; `add_singleton::<T, T>()` for itself.
    pub fn add_singleton<P: ?Sized + Send + Sync + 'static, T: Inject + Provides<P>>(&mut self) -> &mut Self {
        self.add(Service::singleton::<P, T>())
    }

    /// One `T` for each scope, found as `P`.
    pub fn add_scoped<P: ?Sized + Send + Sync + 'static, T: Inject + Provides<P>>(&mut self) -> &mut Self {
        self.add(Service::scoped::<P, T>())
    }

    /// A new `T` for each consumer, found as `P`.
    pub fn add_transient<P: ?Sized + Send + Sync + 'static, T: Inject + Provides<P>>(&mut self) -> &mut Self {
        self.add(Service::transient::<P, T>())
    }

    /// This very value, for the whole application.
    pub fn add_instance<T: Send + Sync + 'static>(&mut self, value: T) -> &mut Self {
        self.add(Service::instance(value))
    }

    /// Adds a service after those of the same type.
    ///
    /// Several services of one type are for consumers that take all of them (`Vec<Arc<P>>`); a consumer that
    /// takes one makes the second a fault.
    pub fn add(&mut self, service: Service) -> &mut Self {
        self.services.push(service);
        self
    }

    /// Adds a service unless there is one of its type.
    pub fn try_add(&mut self, service: Service) -> &mut Self {
        if !self.services.iter().any(|other| other.key.id == service.key.id) {
            self.services.push(service);
        }
        self
    }

    /// Puts a service in the place of all others of its type: what tests do with a port.
    pub fn replace(&mut self, service: Service) -> &mut Self {
        self.services.retain(|other| other.key.id != service.key.id);
        self.services.push(service);
        self
    }

    /// Reports what a registration function found wrong, together with everything else.
    pub fn fault(&mut self, fault: Fault) -> &mut Self {
        self.faults.push(fault);
        self
    }

    /// Declares that `T` will be built in scopes, such as a controller or a handler: its needs are checked too.
    pub fn enter<T: Inject>(&mut self) -> &mut Self {
        self.entries.push(Entry::scoped::<T>());
        self
    }

    /// Declares that `T` will be built from the root, such as a hosted service: it may not need scoped ones.
    pub fn enter_root<T: Inject>(&mut self) -> &mut Self {
        self.entries.push(Entry::root::<T>());
        self
    }

    pub(crate) fn take_entries(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }

    /// Whether a service of this type is registered.
    pub fn has<P: ?Sized + 'static>(&self) -> bool {
        self.services.iter().any(|service| service.key.id == TypeId::of::<P>())
    }

    /// The services in the order of registration.
    pub fn describe(&self) -> Vec<ServiceDescription> {
        self.services
            .iter()
            .map(|service| ServiceDescription {
                service: short_name(service.key.name),
                implementation: service
                    .implementation
                    .map_or_else(|| "factory".to_owned(), |implementation| short_name(implementation.name)),
                lifetime: service.lifetime,
                needs: service.dependencies().list.iter().map(|need| short_name(need.key.name)).collect(),
            })
            .collect()
    }

    /// Checks the whole graph, without constructing anything.
    ///
    /// # Errors
    /// Every fault at once: missing, cyclic, captive, ambiguous and duplicate services, and those that
    /// registration functions reported.
    pub fn build(mut self) -> Result<Graph, Faults> {
        let mut faults = std::mem::take(&mut self.faults);
        for (index, service) in self.services.iter().enumerate() {
            faults.extend(service.fault.iter().cloned().collect());
            if self.services[..index].iter().any(|other| other.is_same_as(service)) {
                faults.push(validation::registered_twice(service));
            }
        }
        faults.extend(validation::check(&self));
        faults.into_result()?;
        Ok(Graph::new(self.services))
    }
}

impl fmt::Debug for ServiceCollection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.describe()).finish()
    }
}

/// A type's name without the paths of its parts: `Arc<dyn Port>` for `alloc::sync::Arc<dyn app::ports::Port>`.
pub(crate) fn short_name(full: &str) -> String {
    let mut short = String::with_capacity(full.len());
    let mut start = 0;
    for (index, character) in full.char_indices() {
        // Braces stand in the path of an item inside a function: `app::main::{{closure}}::Local`.
        if !(character.is_alphanumeric() || matches!(character, '_' | ':' | '{' | '}' | '#')) {
            push_last_segment(&mut short, &full[start..index]);
            short.push(character);
            start = index + character.len_utf8();
        }
    }
    push_last_segment(&mut short, &full[start..]);
    short
}

fn push_last_segment(short: &mut String, path: &str) {
    short.push_str(path.rsplit("::").next().unwrap_or(path));
}

/// The short name of a type.
pub(crate) fn short_type_name<T: ?Sized>() -> String {
    short_name(type_name::<T>())
}
