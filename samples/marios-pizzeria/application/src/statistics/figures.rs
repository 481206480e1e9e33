//! What is counted: the figures of one order, and the sums of many.

use std::collections::BTreeMap;
use std::ops::{AddAssign, SubAssign};

use neuroglia::clock::Timestamp;
use neuroglia::error::{Error, Result};
use pizzeria_domain::money::{Currency, Money};
use pizzeria_domain::order::{Order, OrderStatus};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Figures that can be added and taken away again; what is zero is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Figures {
    /// Orders by status.
    pub(super) statuses: Sums,
    /// What delivered orders brought in, in hundredths, by currency; nothing when the payment failed or was given back.
    pub(super) revenue: Sums,
    /// Delivered pizzas by id.
    pub(super) sold: Sums,
    /// What they brought in, in hundredths, by currency and id.
    pub(super) sales: BTreeMap<String, Sums>,
    /// Steps by user, for each kind of step.
    pub(super) steps: BTreeMap<String, Sums>,
    /// How many orders went through a stretch of their way.
    pub(super) stretches: Sums,
    /// How long that took in all, in milliseconds.
    pub(super) stretches_ms: Sums,
}

/// Sums by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Sums(BTreeMap<String, i64>);

/// Stretches of an order's way: a name, and the statuses at which it begins and ends.
pub(super) const STRETCHES: [(&str, OrderStatus, OrderStatus); 4] = [
    ("waiting", OrderStatus::Confirmed, OrderStatus::Cooking),
    ("cooking", OrderStatus::Cooking, OrderStatus::Ready),
    ("collecting", OrderStatus::Ready, OrderStatus::Delivering),
    ("delivering", OrderStatus::Delivering, OrderStatus::Delivered),
];

/// The statuses to which somebody of the staff brings an order, as the figures name them.
pub(super) const STEPS: [OrderStatus; 3] =
    [OrderStatus::Confirmed, OrderStatus::Ready, OrderStatus::Delivered];

impl Figures {
    /// The figures of one order, as it stands.
    pub(super) fn of(order: &Order) -> Self {
        let mut figures = Self::default();
        figures.statuses.add(order.status().as_str(), 1);
        for entry in order.history() {
            if let (true, Some(user)) = (STEPS.contains(&entry.status()), entry.by()) {
                figures.steps.entry(entry.status().as_str().to_owned()).or_default().add(user.as_str(), 1);
            }
        }
        for (stretch, from, to) in STRETCHES {
            if let (Some(from), Some(to)) = (order.reached_at(from), order.reached_at(to)) {
                figures.stretches.add(stretch, 1);
                figures.stretches_ms.add(stretch, span_ms(from, to));
            }
        }
        if order.status() == OrderStatus::Delivered {
            for line in order.lines() {
                figures.sold.add(line.pizza_id().as_str(), i64::from(line.quantity()));
            }
        }
        if order.brought_in() {
            figures.revenue.add(order.total().currency().as_str(), hundredths(order.total()));
            for line in order.lines() {
                let sales = figures.sales.entry(line.line_total().currency().to_string()).or_default();
                sales.add(line.pizza_id().as_str(), hundredths(line.line_total()));
            }
        }
        figures
    }

    /// Only what a series over time shows.
    pub(super) fn flow(&self) -> Self {
        Self { statuses: self.statuses.clone(), revenue: self.revenue.clone(), ..Self::default() }
    }

    /// What came in, in this currency.
    pub(super) fn revenue_in(&self, currency: Currency) -> Result<Money> {
        money(self.revenue.get(currency.as_str()), currency)
    }

    fn change(&mut self, other: &Self, sign: i64) {
        self.statuses.change(&other.statuses, sign);
        self.revenue.change(&other.revenue, sign);
        self.sold.change(&other.sold, sign);
        self.stretches.change(&other.stretches, sign);
        self.stretches_ms.change(&other.stretches_ms, sign);
        for (own, others) in [(&mut self.sales, &other.sales), (&mut self.steps, &other.steps)] {
            for (name, sums) in others {
                own.entry(name.clone()).or_default().change(sums, sign);
            }
            own.retain(|_, sums| !sums.0.is_empty());
        }
    }
}

impl AddAssign<&Self> for Figures {
    fn add_assign(&mut self, other: &Self) {
        self.change(other, 1);
    }
}

impl SubAssign<&Self> for Figures {
    fn sub_assign(&mut self, other: &Self) {
        self.change(other, -1);
    }
}

impl Sums {
    /// The sum with this name.
    pub(super) fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// The sum with this name, of things that are counted.
    pub(super) fn count(&self, name: &str) -> u64 {
        u64::try_from(self.get(name)).unwrap_or(0)
    }

    /// Every sum.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().map(|(name, sum)| (name.as_str(), *sum))
    }

    /// Everything together, of things that are counted.
    pub(super) fn total(&self) -> u64 {
        u64::try_from(self.0.values().sum::<i64>()).unwrap_or(0)
    }

    fn add(&mut self, name: &str, amount: i64) {
        let sum = self.0.entry(name.to_owned()).or_default();
        *sum = sum.saturating_add(amount);
        if *sum == 0 {
            self.0.remove(name);
        }
    }

    fn change(&mut self, other: &Self, sign: i64) {
        for (name, amount) in other.iter() {
            self.add(name, amount.saturating_mul(sign));
        }
    }
}

/// So many hundredths as money.
pub(super) fn money(hundredths: i64, currency: Currency) -> Result<Money> {
    Money::new(Decimal::new(hundredths, Money::PLACES), currency).map_err(Error::from)
}

fn hundredths(money: Money) -> i64 {
    // An amount is below a trillion and has two places.
    i64::try_from(money.amount().mantissa()).unwrap_or(i64::MAX)
}

fn span_ms(from: Timestamp, to: Timestamp) -> i64 {
    i64::try_from(to.since(from).as_millis()).unwrap_or(i64::MAX)
}
