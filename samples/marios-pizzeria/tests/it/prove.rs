//! Nothing is lost and nothing happens twice: the proof, on separate processes, by real signals.
//!
//! A [`Town`] is a database with any number of processes of the `perilous` example on it, which is the pizzeria with a
//! ledger of effects. [`Customers`] order and remember what was accepted; the [`Books`] are read behind the
//! processes' back, and say whether each accepted order has each of its effects once.
//!
//! The short form runs with all other tests. `NEUROGLIA_PROVE=full`, which `cargo xtask prove` sets, repeats more and
//! waits longer. Lines that begin with `proof:` are its report.

mod books;
mod customers;
mod town;

mod farewells;
mod full_disk;
mod illnesses;
mod kills;
mod mail;
mod matrix;
mod mishaps;
mod outages;
mod pauses;
mod payments;
mod queues;
mod replicas;
mod rolling;
mod skew;
mod ticks;

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub(crate) use books::Books;
pub(crate) use customers::Customers;
pub(crate) use matrix::Bus;
pub(crate) use town::{Engine, Town};

/// So long after the death of a process everything that it had accepted is done, on a machine with other work too. On
/// a quiet one it takes half as long: the life of a node, and two looks.
pub(crate) const RECOVERY_MAX: Duration = Duration::from_secs(30);

/// What is promised of 99 recoveries in a hundred, which the full form holds the product to.
pub(crate) const RECOVERY_P99: Duration = Duration::from_secs(15);

/// How often something is done in this form of the proof.
pub(crate) fn times(short: usize, full: usize) -> usize {
    if is_full() { full } else { short }
}

/// Whether this is the form whose figures are kept, on a machine that has nothing else to do.
#[expect(
    clippy::disallowed_methods,
    reason = "the form of a proof is chosen by the environment of the test run"
)]
pub(crate) fn is_full() -> bool {
    std::env::var("NEUROGLIA_PROVE").is_ok_and(|form| form == "full")
}

/// Proves each case, so many at once. Most of a proof is waiting for the life of a dead node to end.
pub(crate) fn at_once<T: Send>(count: usize, cases: impl IntoIterator<Item = T>, prove: impl Fn(T) + Sync) {
    let cases = Mutex::new(cases.into_iter().collect::<VecDeque<T>>());
    let next = || cases.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                while let Some(case) = next() {
                    prove(case);
                }
            });
        }
    });
}

/// Says what was shown, for the report of `cargo xtask prove`.
#[expect(clippy::print_stdout, reason = "the report of a proof is what its test run prints")]
pub(crate) fn report(shown: &str) {
    println!("proof: {shown}");
}

/// The times by which half of all, and 99 of 100, were over.
pub(crate) fn percentiles(spans: &mut [Duration]) -> (Duration, Duration) {
    spans.sort_unstable();
    let at = |hundredths: usize| spans[(spans.len() * hundredths).div_ceil(100).saturating_sub(1)];
    (at(50), at(99))
}

#[test]
fn a_percentile_is_one_of_the_measured() {
    let mut spans: Vec<_> = (1..=100).rev().map(Duration::from_secs).collect();
    assert_eq!(percentiles(&mut spans), (Duration::from_secs(50), Duration::from_secs(99)));
    assert_eq!(percentiles(&mut spans[..1]), (Duration::from_secs(1), Duration::from_secs(1)));
}
