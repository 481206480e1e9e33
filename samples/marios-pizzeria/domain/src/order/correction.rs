//! What an order says of itself agrees, or is made to.
//!
//! The lines say what was ordered at which price, and the history which steps were taken; both were written once and
//! are believed. Sums and the status follow from them.

use std::fmt;

use neuroglia::domain::Aggregate;

use super::{Order, OrderCorrected, OrderStatus};
use crate::money::{Money, MoneyError};
use crate::stamp::Stamp;

/// Where an order does not agree with itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Defect {
    /// The total of a line is not its price times its quantity.
    LineTotal {
        /// Which line, from 1.
        line: usize,
        /// What it says.
        was: Money,
        /// What follows from price and quantity.
        is: Money,
    },
    /// The total is not the sum of the lines.
    Total {
        /// What it says.
        was: Money,
        /// The sum.
        is: Money,
    },
    /// The status is not the last one of the history.
    Status {
        /// What it says.
        was: OrderStatus,
        /// The last one of the history.
        is: OrderStatus,
    },
}

impl Order {
    /// Makes the order agree with itself; gives what did not.
    ///
    /// # Errors
    /// When its lines cannot be added up; nothing has changed then, and a person has to look.
    pub fn correct(&mut self, stamp: Stamp) -> Result<Vec<Defect>, MoneyError> {
        let totals = self.lines.iter().map(|line| line.unit_price().checked_mul(line.quantity()));
        let totals = totals.collect::<Result<Vec<_>, _>>()?;
        let currency = totals.first().map_or(self.total.currency(), Money::currency);
        let total = Money::sum(currency, totals.iter().copied())?;

        let mut defects = Vec::new();
        for ((line, is), number) in self.lines.iter_mut().zip(totals).zip(1..) {
            let was = line.correct_total(is);
            if was != is {
                defects.push(Defect::LineTotal { line: number, was, is });
            }
        }
        let was = std::mem::replace(&mut self.total, total);
        if was != total {
            defects.push(Defect::Total { was, is: total });
        }
        if let Some(last) = self.history.last().map(super::HistoryEntry::status) {
            let was = std::mem::replace(&mut self.status, last);
            if was != last {
                defects.push(Defect::Status { was, is: last });
            }
        }
        if !defects.is_empty() {
            self.raise(OrderCorrected {
                order_id: self.id,
                customer_id: self.customer_id,
                total: self.total,
                status: self.status,
                at: stamp.at,
                by: stamp.by,
            });
        }
        Ok(defects)
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineTotal { line, was, is } => {
                write!(f, "the total of line {line} is {was} instead of {is}")
            }
            Self::Total { was, is } => write!(f, "its total is {was} instead of {is}"),
            Self::Status { was, is } => {
                write!(f, "its status is {} instead of {}", was.as_str(), is.as_str())
            }
        }
    }
}
