//! Typed queries: they name declared fields and carry values, and never become text with values in it.
//!
//! A [`Query`] is what an application writes; a [`Select`] is what an engine gets: a filter, an order that ends
//! with the id, and a limit. The cursor has become part of the filter by then, so that engines know nothing of
//! paging.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::Cursor;
use super::page::{PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX};
use crate::clock::Timestamp;
use crate::domain::Aggregate;
use crate::error::{Error, Result};
use crate::id::Id;

/// A scalar field of an aggregate's document, declared once beside the aggregate.
///
/// The path is made of lower-case letters, digits, underscores and, between the parts, dots: `customer.id`.
#[derive(Debug)]
pub struct Field<A, T> {
    path: &'static str,
    of: PhantomData<fn() -> (A, T)>,
}

impl<A, T> Clone for Field<A, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, T> Copy for Field<A, T> {}

impl<A, T: Scalar> Field<A, T> {
    /// The field at this path.
    ///
    /// # Panics
    /// At compile time in a `const`, when the path has a character that a path may not have.
    pub const fn new(path: &'static str) -> Self {
        let bytes = path.as_bytes();
        assert!(!bytes.is_empty(), "a field's path is not empty");
        let mut index = 0;
        while index < bytes.len() {
            assert!(
                matches!(bytes[index], b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.'),
                "a field's path has lower-case letters, digits, underscores and dots"
            );
            index += 1;
        }
        Self { path, of: PhantomData }
    }

    /// Equal to the value.
    pub fn eq(self, value: impl Into<T>) -> Filter<A> {
        self.compare(Op::Equal, value)
    }

    /// Set, and not equal to the value.
    pub fn ne(self, value: impl Into<T>) -> Filter<A> {
        self.compare(Op::NotEqual, value)
    }

    /// Below the value.
    pub fn lt(self, value: impl Into<T>) -> Filter<A> {
        self.compare(Op::Less, value)
    }

    /// Below or equal to the value.
    pub fn le(self, value: impl Into<T>) -> Filter<A> {
        self.compare(Op::LessOrEqual, value)
    }

    /// Above the value.
    pub fn gt(self, value: impl Into<T>) -> Filter<A> {
        self.compare(Op::Greater, value)
    }

    /// Above or equal to the value.
    pub fn ge(self, value: impl Into<T>) -> Filter<A> {
        self.compare(Op::GreaterOrEqual, value)
    }

    /// Equal to one of the values; no values match nothing.
    pub fn is_in(self, values: impl IntoIterator<Item = impl Into<T>>) -> Filter<A> {
        let values = values.into_iter().map(|value| value.into().to_value()).collect();
        Filter::of(Condition::In { path: self.body(), values })
    }

    /// Null, or not there.
    pub fn is_null(self) -> Filter<A> {
        Filter::of(Condition::IsNull(self.body()))
    }

    /// There, and not null.
    pub fn is_set(self) -> Filter<A> {
        Filter::of(Condition::Not(Box::new(Condition::IsNull(self.body()))))
    }

    fn compare(self, op: Op, value: impl Into<T>) -> Filter<A> {
        Filter::of(Condition::Compare { path: self.body(), op, value: value.into().to_value() })
    }

    fn body(self) -> Path {
        Path::Body(self.path)
    }

    /// The path as text, for index declarations.
    pub const fn path(self) -> &'static str {
        self.path
    }
}

/// A type whose values a field can have.
pub trait Scalar {
    /// The value as a parameter.
    fn to_value(&self) -> Value;
}

/// A parameter of a query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A text; times and ids are texts.
    Text(String),
}

macro_rules! scalars {
    ($($ty:ty: $value:ident => $made:expr;)*) => {$(
        impl Scalar for $ty {
            fn to_value(&self) -> Value {
                let $value = self;
                $made
            }
        }
    )*};
}

scalars! {
    bool: value => Value::Bool(*value);
    i32: value => Value::Integer(i64::from(*value));
    u32: value => Value::Integer(i64::from(*value));
    i64: value => Value::Integer(*value);
    String: value => Value::Text(value.clone());
    Timestamp: value => Value::Text(value.to_string());
}

impl<T> Scalar for Id<T> {
    fn to_value(&self) -> Value {
        Value::Text(self.to_string())
    }
}

/// A condition on aggregates of type `A`.
#[derive(Debug)]
pub struct Filter<A> {
    condition: Condition,
    of: PhantomData<fn() -> A>,
}

impl<A> Clone for Filter<A> {
    fn clone(&self) -> Self {
        Self::of(self.condition.clone())
    }
}

impl<A> Filter<A> {
    fn of(condition: Condition) -> Self {
        Self { condition, of: PhantomData }
    }

    /// Every aggregate.
    pub fn everything() -> Self {
        Self::of(Condition::All(Vec::new()))
    }

    /// Both this and the other.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::of(match self.condition {
            Condition::All(mut parts) => {
                parts.push(other.condition);
                Condition::All(parts)
            }
            first => Condition::All(vec![first, other.condition]),
        })
    }

    /// This or the other, or both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::of(match self.condition {
            Condition::Any(mut parts) => {
                parts.push(other.condition);
                Condition::Any(parts)
            }
            first => Condition::Any(vec![first, other.condition]),
        })
    }
}

impl<A> std::ops::Not for Filter<A> {
    type Output = Self;

    /// Whatever this does not match; an unset field that is compared matches neither way.
    fn not(self) -> Self {
        Self::of(Condition::Not(Box::new(self.condition)))
    }
}

/// What an application asks for: a filter, an order, and where to begin.
#[derive(Debug)]
pub struct Query<A> {
    filter: Filter<A>,
    sort: Vec<Sort>,
    after: Option<Cursor>,
    limit: u32,
}

impl<A> Clone for Query<A> {
    fn clone(&self) -> Self {
        Self {
            filter: self.filter.clone(),
            sort: self.sort.clone(),
            after: self.after.clone(),
            limit: self.limit,
        }
    }
}

impl<A: Aggregate> Query<A> {
    /// Every aggregate, by id, in pages of the default size.
    pub fn all() -> Self {
        Self::filter(Filter::everything())
    }

    /// The aggregates that match.
    pub fn filter(filter: Filter<A>) -> Self {
        Self { filter, sort: Vec::new(), after: None, limit: PAGE_LIMIT_DEFAULT }
    }

    /// Smallest first; unset fields come before all others. The id breaks ties.
    #[must_use]
    pub fn ascending<T: Scalar>(mut self, field: Field<A, T>) -> Self {
        self.sort.push(Sort { path: field.body(), direction: Direction::Ascending });
        self
    }

    /// Largest first; unset fields come after all others. The id breaks ties, likewise from the largest.
    #[must_use]
    pub fn descending<T: Scalar>(mut self, field: Field<A, T>) -> Self {
        self.sort.push(Sort { path: field.body(), direction: Direction::Descending });
        self
    }

    /// The newest first: ids of type UUIDv7 sort by creation.
    #[must_use]
    pub fn newest_first(mut self) -> Self {
        self.sort.push(Sort { path: Path::Id, direction: Direction::Descending });
        self
    }

    /// What comes after the page that gave this cursor.
    #[must_use]
    pub fn after(mut self, cursor: Option<Cursor>) -> Self {
        self.after = cursor;
        self
    }

    /// At most so many in a page: at least 1, at most [`PAGE_LIMIT_MAX`].
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit.clamp(1, PAGE_LIMIT_MAX);
        self
    }

    pub(super) fn page_limit(&self) -> u32 {
        self.limit
    }

    /// What an engine is asked, one after the other until the page is full; each asks for one more than a page,
    /// so that it shows whether there is another.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::error::ErrorKind::Malformed) when the cursor belongs to another query.
    pub fn to_selects(&self) -> Result<Vec<Select>> {
        let all = self.to_select();
        let Some(cursor) = &self.after else { return Ok(vec![all]) };
        let parts = cursor.parts(A::COLLECTION, &all.sort)?;
        let select =
            |part| Select { condition: Condition::All(vec![all.condition.clone(), part]), ..all.clone() };
        Ok(parts.into_iter().map(select).collect())
    }

    /// The whole result, wherever it is to begin.
    pub(super) fn to_select(&self) -> Select {
        let mut sort = self.sort.clone();
        if !sort.iter().any(|sort| sort.path == Path::Id) {
            let direction = sort.last().map_or(Direction::Ascending, |sort| sort.direction);
            sort.push(Sort { path: Path::Id, direction });
        }
        Select {
            collection: A::COLLECTION,
            condition: self.filter.condition.clone(),
            sort,
            limit: self.limit + 1,
        }
    }
}

/// What an engine is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Select {
    /// The collection.
    pub collection: &'static str,
    /// What must hold for a document.
    pub condition: Condition,
    /// The order; it ends with the id.
    pub sort: Vec<Sort>,
    /// The largest number of documents.
    pub limit: u32,
}

impl Select {
    /// Refuses names that would not be safe, or would not mean the same, in the language of an engine.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::error::ErrorKind::Internal), with the name in its cause.
    pub fn check(&self) -> Result<()> {
        check_name(self.collection)?;
        self.condition.check()?;
        self.sort.iter().try_for_each(|sort| sort.path.check())
    }
}

impl Condition {
    fn check(&self) -> Result<()> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().try_for_each(Self::check),
            Self::Not(part) => part.check(),
            Self::Compare { path, .. } | Self::In { path, .. } | Self::IsNull(path) => path.check(),
        }
    }
}

impl Path {
    fn check(self) -> Result<()> {
        match self {
            Self::Id => Ok(()),
            Self::Body(path) => check_path(path),
        }
    }
}

/// Refuses what is no name of a collection or an index: lower-case letters, digits and underscores, the first
/// of them a letter.
///
/// Engines put such names into statements; nothing else ever becomes a part of their text.
///
/// # Errors
/// [`ErrorKind::Internal`](crate::error::ErrorKind::Internal), with the name in its cause.
pub fn check_name(name: &str) -> Result<()> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase());
    if first && bytes.all(is_name_byte) { Ok(()) } else { Err(unsafe_name(name)) }
}

/// Refuses what is no path: parts of lower-case letters, digits and underscores with dots between them.
pub(super) fn check_path(path: &str) -> Result<()> {
    let sound = path.split('.').all(|part| !part.is_empty() && part.bytes().all(is_name_byte));
    if sound { Ok(()) } else { Err(unsafe_name(path)) }
}

fn is_name_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')
}

fn unsafe_name(name: &str) -> Error {
    Error::internal(format!("{name:?} is no name for a collection, an index or a field"))
}

/// What must hold for a document.
///
/// A comparison with a field that is null or not there does not hold, and neither does its [`Condition::Not`]:
/// the three-valued logic of SQL.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// All of these; none of them holds always.
    All(Vec<Condition>),
    /// At least one of these; none of them holds never.
    Any(Vec<Condition>),
    /// Not this.
    Not(Box<Condition>),
    /// A comparison.
    Compare {
        /// The field.
        path: Path,
        /// How it is compared.
        op: Op,
        /// With what; never null.
        value: Value,
    },
    /// Equality with one of several values.
    In {
        /// The field.
        path: Path,
        /// The values.
        values: Vec<Value>,
    },
    /// The field is null, or not there.
    IsNull(Path),
}

/// Where in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// The document's key.
    Id,
    /// A field of its body, such as `status` or `customer.id`; made of lower-case letters, digits, underscores
    /// and dots.
    Body(&'static str),
}

/// How a field is compared with a value of its own type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Op {
    /// As SQL writes it.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

/// One key of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// The field.
    pub path: Path,
    /// Its direction.
    pub direction: Direction,
}

/// A direction of an order; texts are compared by their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Unset first, then from the smallest.
    Ascending,
    /// From the largest, unset last.
    Descending,
}
