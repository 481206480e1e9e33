//! What a field may be, and what a type says about its needs.

use std::any::{TypeId, type_name};
use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::Scope;
use crate::error::Result;

/// Something that the container can hand over: a handle to a service, or a struct made of such.
///
/// Derive it for structs; see [its derive](derive@crate::di::Inject). The methods are for the container; an application implements
/// them by hand only for a handle type of its own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be injected",
    label = "not something that the container hands over",
    note = "fields of a `#[derive(Inject)]` struct are handles: `Arc<T>`, `Arc<dyn Port>`, `Option<Arc<_>>`, `Vec<Arc<_>>`, `Clock`, `Ids`, `Mediator`, `Repository<A>`, or another struct that derives `Inject`"
)]
pub trait Inject: Sized + Send + Sync + 'static {
    /// Lists what is needed, for the check at boot.
    fn dependencies(needs: &mut Dependencies);

    /// Takes it from a scope.
    ///
    /// # Errors
    /// When a factory on the way fails. After a successful build it cannot fail for want of a registration.
    fn inject(scope: &Scope) -> Result<Self>;

    /// How to dispose of it, when it is kept as a service; `#[inject(dispose)]` sets it to [`Dispose`].
    fn disposer() -> Option<Disposer<Self>> {
        None
    }
}

/// The function that disposes of a `T`.
pub type Disposer<T> = fn(Arc<T>) -> BoxFuture<'static, ()>;

/// Something to be done when a scope, or the application, ends.
///
/// Put `#[inject(dispose)]` on the struct to have the container call it: in the reverse order of construction,
/// also when the work in the scope failed or was cancelled.
pub trait Dispose: Send + Sync + 'static {
    /// Gives back what was taken. What fails here is logged by the implementation; there is nobody to tell.
    fn dispose(&self) -> impl Future<Output = ()> + Send;
}

/// A type that can stand in for `P`: itself, or a port that it implements.
///
/// `#[provides(dyn Port)]` beside `#[derive(Inject)]` writes the implementation.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not provide `{P}`",
    note = "add `#[provides({P})]` beside `#[derive(Inject)]` on `{Self}`, and implement the port for it"
)]
pub trait Provides<P: ?Sized>: Send + Sync + 'static {
    /// The same object, seen as `P`.
    fn provide(self: Arc<Self>) -> Arc<P>;
}

impl<T: Send + Sync + 'static> Provides<T> for T {
    fn provide(self: Arc<Self>) -> Arc<T> {
        self
    }
}

/// The list of needs that [`Inject::dependencies`] fills.
#[derive(Debug, Default)]
pub struct Dependencies {
    pub(super) list: Vec<Dependency>,
    pub(super) scope_bound: Option<&'static str>,
}

impl Dependencies {
    /// Exactly one service of this type.
    pub fn one<P: ?Sized + 'static>(&mut self) {
        self.add::<P>(Need::One);
    }

    /// One service of this type, or none.
    pub fn optional<P: ?Sized + 'static>(&mut self) {
        self.add::<P>(Need::Optional);
    }

    /// All services of this type.
    pub fn all<P: ?Sized + 'static>(&mut self) {
        self.add::<P>(Need::All);
    }

    /// The scope itself: whoever needs it cannot be a singleton. `handle` names it in the report.
    pub fn scope(&mut self, handle: &'static str) {
        self.scope_bound = Some(handle);
    }

    fn add<P: ?Sized + 'static>(&mut self, need: Need) {
        let key = Key::of::<P>();
        // A struct with two repositories needs the unit of work once.
        if !self.list.iter().any(|known| known.key.id == key.id && known.need == need) {
            self.list.push(Dependency { key, need });
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Dependency {
    pub(super) key: Key,
    pub(super) need: Need,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    One,
    Optional,
    All,
}

/// The type under which a service is looked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) id: TypeId,
    pub(super) name: &'static str,
}

impl Key {
    pub(super) fn of<P: ?Sized + 'static>() -> Self {
        Self { id: TypeId::of::<P>(), name: type_name::<P>() }
    }
}

impl<P: ?Sized + Send + Sync + 'static> Inject for Arc<P> {
    fn dependencies(needs: &mut Dependencies) {
        needs.one::<P>();
    }

    fn inject(scope: &Scope) -> Result<Self> {
        scope.get::<P>()
    }
}

impl<P: ?Sized + Send + Sync + 'static> Inject for Option<Arc<P>> {
    fn dependencies(needs: &mut Dependencies) {
        needs.optional::<P>();
    }

    fn inject(scope: &Scope) -> Result<Self> {
        scope.find::<P>()
    }
}

impl<P: ?Sized + Send + Sync + 'static> Inject for Vec<Arc<P>> {
    fn dependencies(needs: &mut Dependencies) {
        needs.all::<P>();
    }

    fn inject(scope: &Scope) -> Result<Self> {
        scope.all::<P>()
    }
}

impl Inject for crate::clock::Clock {
    fn dependencies(needs: &mut Dependencies) {
        needs.one::<Self>();
    }

    fn inject(scope: &Scope) -> Result<Self> {
        scope.get::<Self>().map(|clock| (*clock).clone())
    }
}

impl Inject for crate::id::Ids {
    fn dependencies(needs: &mut Dependencies) {
        needs.one::<Self>();
    }

    fn inject(scope: &Scope) -> Result<Self> {
        scope.get::<Self>().map(|ids| (*ids).clone())
    }
}

macro_rules! inject_tuples {
    ($(($($part:ident),*))*) => {$(
        impl<$($part: Inject),*> Inject for ($($part,)*) {
            fn dependencies(needs: &mut Dependencies) {
                let _ = &needs;
                $($part::dependencies(needs);)*
            }

            fn inject(scope: &Scope) -> Result<Self> {
                let _ = scope;
                Ok(($($part::inject(scope)?,)*))
            }
        }
    )*};
}

inject_tuples!(()(A)(A, B)(A, B, C)(A, B, C, D)(A, B, C, D, E));
