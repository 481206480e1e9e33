//! The port of whoever keeps numbers that operators should see, such as the client of an attached resource.
//!
//! An adapter cannot know what shows metrics, and the host cannot know which adapters there are. So an adapter
//! registers itself as a `dyn Meter`, and the host shows what all of them read, whenever somebody asks.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

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

/// How long something takes, time after time: counted by classes, as a histogram shows it.
///
/// ```
/// use std::time::Duration;
/// use neuroglia_core::meter::Durations;
///
/// const BOUNDS: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(1)];
/// let baking = Durations::within(&BOUNDS);
/// baking.count(Duration::from_millis(10));
/// baking.count(Duration::from_secs(5));
/// let classes: Vec<_> = baking.classes().collect();
/// assert_eq!(classes, [(Some(BOUNDS[0]), 1), (Some(BOUNDS[1]), 0), (None, 1)]);
/// assert_eq!(baking.sum(), Duration::from_millis(5_010));
/// ```
#[derive(Debug)]
pub struct Durations {
    bounds: &'static [Duration],
    classes: Box<[AtomicU64]>,
    sum_ns: AtomicU64,
}

impl Durations {
    /// None yet; the classes end at these bounds, which ascend, and the last class has none.
    pub fn within(bounds: &'static [Duration]) -> Self {
        let classes = (0..=bounds.len()).map(|_| AtomicU64::default()).collect();
        Self { bounds, classes, sum_ns: AtomicU64::default() }
    }

    /// Counts one.
    pub fn count(&self, took: Duration) {
        let class = self.bounds.iter().position(|bound| took <= *bound);
        self.classes[class.unwrap_or(self.bounds.len())].fetch_add(1, Relaxed);
        self.sum_ns.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// How many took up to each bound and longer than the one before.
    pub fn classes(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = self.bounds.iter().copied().map(Some).chain([None]);
        bounds.zip(self.classes.iter().map(|class| class.load(Relaxed)))
    }

    /// How long all of them took together.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_ns.load(Relaxed))
    }
}
