//! The port of whoever keeps numbers that operators should see, such as the client of an attached resource.
//!
//! An adapter cannot know what shows metrics, and the host cannot know which adapters there are. So an adapter
//! registers itself as a `dyn Meter`, and the host shows what all of them read, whenever somebody asks.

use std::borrow::Cow;

/// Keeps numbers, and reads them when somebody asks.
///
/// Register it as `dyn Meter`; the host shows all that are registered with its metrics.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use neuroglia_core::meter::{Meter, Reading};
///
/// struct Oven { pizzas: AtomicU64 }
///
/// impl Meter for Oven {
///     fn read(&self) -> Vec<Reading> {
///         let pizzas = self.pizzas.load(Ordering::Relaxed);
///         vec![Reading::counter("oven_pizzas", "Pizzas that left the oven", pizzas).of("oven", "stone")]
///     }
/// }
/// ```
pub trait Meter: Send + Sync {
    /// The numbers as they are now. It waits for nothing: a scrape must not hang because a resource does.
    fn read(&self) -> Vec<Reading>;
}

/// One number, with the name of its family and its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The family: it begins with what is measured and ends with the unit, such as `cache_entries_bytes`.
    pub name: &'static str,
    /// What the family is, for people; the same for all readings of a name.
    pub help: &'static str,
    /// The labels. Their values are few, and none is of a stranger's making.
    pub labels: Vec<(&'static str, Cow<'static, str>)>,
    /// The number.
    pub number: Number,
}

/// A number, and how it moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// It only grows as long as the process lives.
    Counter(u64),
    /// It goes up and down.
    Gauge(i64),
}

impl Reading {
    /// A number that only grows.
    pub fn counter(name: &'static str, help: &'static str, count: u64) -> Self {
        Self { name, help, labels: Vec::new(), number: Number::Counter(count) }
    }

    /// A number that goes up and down.
    pub fn gauge(name: &'static str, help: &'static str, value: i64) -> Self {
        Self { name, help, labels: Vec::new(), number: Number::Gauge(value) }
    }

    /// This, with one more label.
    #[must_use]
    pub fn of(mut self, label: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.labels.push((label, value.into()));
        self
    }
}
