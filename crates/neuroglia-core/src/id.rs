//! Ids as an argument: typed UUIDv7 ids and a source that tests can make predictable.
//!
//! UUIDv7 (RFC 9562) begins with the time, so ids sort by creation and B-tree inserts stay at the right edge.

use std::cmp::Ordering as Cmp;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// The id of a `T`: a UUIDv7 that cannot be mixed up with the id of something else.
///
/// ```
/// use neuroglia_core::id::{Id, Ids};
///
/// struct Order;
/// type OrderId = Id<Order>;
///
/// let id: OrderId = Ids::sequence().next();
/// assert_eq!(id.to_string().parse::<OrderId>().unwrap(), id);
/// ```
pub struct Id<T>(Uuid, PhantomData<fn() -> T>);

impl<T> Id<T> {
    /// The id with this value.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }

    /// Its value.
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Id<T> {}

impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Cmp> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> Cmp {
        self.0.cmp(&other.0)
    }
}

impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl<T> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl<T> FromStr for Id<T> {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::from_str(text).map(Self::from_uuid)
    }
}

impl<T> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Uuid::deserialize(deserializer).map(Self::from_uuid)
    }
}

/// Gives out new ids; injected wherever code needs one.
#[derive(Debug, Clone, Default)]
pub struct Ids(Source);

#[derive(Debug, Clone, Default)]
enum Source {
    #[default]
    Random,
    Sequence(Arc<AtomicU64>),
}

impl Ids {
    /// Ids from the machine's clock and random numbers.
    pub const fn random() -> Self {
        Self(Source::Random)
    }

    /// Ids for tests: …0001, …0002, and so on; clones share the sequence.
    pub fn sequence() -> Self {
        Self(Source::Sequence(Arc::new(AtomicU64::new(0))))
    }

    /// A new id.
    pub fn next<T>(&self) -> Id<T> {
        Id::from_uuid(self.next_uuid())
    }

    /// A new id without a type.
    #[expect(clippy::disallowed_methods, reason = "the one place that makes ids")]
    pub fn next_uuid(&self) -> Uuid {
        match &self.0 {
            Source::Random => Uuid::now_v7(),
            Source::Sequence(last) => {
                let next = last.fetch_add(1, Ordering::Relaxed) + 1;
                // The version and variant bits make it a well-formed UUIDv7.
                Uuid::from_u64_pair(0x7000, 0x8000_0000_0000_0000 | next)
            }
        }
    }

    /// A random part of a span: what spreads those who would all come back at once.
    #[expect(clippy::disallowed_methods, reason = "the one place that makes random values")]
    pub fn jitter(&self, span: Duration) -> Duration {
        match &self.0 {
            Source::Random => {
                let (_, low) = Uuid::new_v4().as_u64_pair();
                // The lowest 32 bits are all random.
                span.mul_f64(f64::from((low & 0xffff_ffff) as u32) / f64::from(u32::MAX))
            }
            Source::Sequence(_) => span / 2,
        }
    }

    /// A token of 122 random bits that cannot be guessed from other tokens or from the time.
    #[expect(clippy::disallowed_methods, reason = "the one place that makes ids")]
    pub fn token(&self) -> String {
        match &self.0 {
            Source::Random => Uuid::new_v4().simple().to_string(),
            Source::Sequence(_) => self.next_uuid().simple().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_sort_by_creation() {
        let ids = Ids::random();
        let made: Vec<Id<()>> = (0..100).map(|_| ids.next()).collect();
        let mut sorted = made.clone();
        sorted.sort();
        assert_eq!(made, sorted);
    }
}
