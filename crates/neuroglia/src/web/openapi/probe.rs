//! How `#[controller]` describes a type of which it knows only the tokens.
//!
//! A macro cannot ask whether a type implements [`Describe`], but method resolution can: a call on `&Probe<T>`
//! finds [`DescribeKnown`](methods::DescribeKnown) of `Probe<T>` first, where `T: Describe` holds, and only then,
//! one reference further, [`DescribeUnknown`](methods::DescribeUnknown) of `&Probe<T>`, which does nothing.
//!
//! Both traits are alone in [`methods`], so that the macro imports them with a glob: at least one of them is
//! used, and which one is no business of a lint.

use std::fmt;
use std::marker::PhantomData;

use super::describe::Describe;
use super::operation::Operation;

/// Stands for a type in a call that only its implementations decide.
///
/// ```
/// use neuroglia::web::openapi::{Operation, Probe};
/// use std::net::TcpStream;
///
/// fn describe(operation: &mut Operation<'_>) {
///     use neuroglia::web::openapi::probe::methods::*;
///     (&Probe::<TcpStream>::new()).describe_parameter(operation); // adds nothing
///     (&Probe::<String>::new()).describe_reply(operation);
/// }
/// ```
pub struct Probe<T: ?Sized>(PhantomData<fn() -> Box<T>>);

impl<T: ?Sized> Probe<T> {
    /// A probe for `T`.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: ?Sized> Default for Probe<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: ?Sized> fmt::Debug for Probe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Probe<{}>", std::any::type_name::<T>())
    }
}

/// The traits to import, and nothing that could shadow a name of the user's.
pub mod methods {
    use super::{Describe, Operation, Probe};

    /// What a call finds when the type implements [`Describe`].
    pub trait DescribeKnown {
        /// Adds what a parameter of this type means.
        fn describe_parameter(&self, operation: &mut Operation<'_>);
        /// Adds what a reply of this type means.
        fn describe_reply(&self, operation: &mut Operation<'_>);
    }

    impl<T: Describe + ?Sized> DescribeKnown for Probe<T> {
        fn describe_parameter(&self, operation: &mut Operation<'_>) {
            T::describe_parameter(operation);
        }

        fn describe_reply(&self, operation: &mut Operation<'_>) {
            T::describe_reply(operation);
        }
    }

    /// What a call finds for every other type.
    pub trait DescribeUnknown {
        /// Adds nothing.
        fn describe_parameter(&self, operation: &mut Operation<'_>) {
            let _ = operation;
        }

        /// Adds nothing.
        fn describe_reply(&self, operation: &mut Operation<'_>) {
            let _ = operation;
        }
    }

    impl<T: ?Sized> DescribeUnknown for &Probe<T> {}
}
