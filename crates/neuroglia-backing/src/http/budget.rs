//! How many calls may be repeated: a share of all calls, so that a service in trouble is not called to death.

use std::sync::atomic::{AtomicU32, Ordering};

/// What a call brings in, and a repetition costs: a fifth of all calls may be repeated, as Finagle has it.
const DEPOSIT: u32 = 1;
const PRICE: u32 = 5;

/// What is there at the start, and at most: ten repetitions.
const SAVINGS_MAX: u32 = 10 * PRICE;

#[derive(Debug)]
pub(super) struct Budget(AtomicU32);

impl Budget {
    pub(super) const fn new() -> Self {
        Self(AtomicU32::new(SAVINGS_MAX))
    }

    /// A call begins.
    pub(super) fn deposit(&self) {
        self.change(|savings| Some((savings + DEPOSIT).min(SAVINGS_MAX)));
    }

    /// Whether a call may be repeated; if so, it is paid.
    pub(super) fn withdraw(&self) -> bool {
        self.change(|savings| savings.checked_sub(PRICE))
    }

    fn change(&self, change: impl FnMut(u32) -> Option<u32>) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_in_five_may_be_repeated() {
        let budget = Budget::new();
        let repeated = |calls: u32| {
            (0..calls).filter(|_| {
                budget.deposit();
                budget.withdraw()
            })
        };
        assert!(repeated(10).count() >= 10, "at first there are savings");
        let _ = repeated(100).count();
        assert_eq!(repeated(100).count(), 20);
    }
}
