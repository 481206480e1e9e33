//! The state machine of an order, as one table.
//!
//! ```text
//! pending ─confirm→ confirmed ─cook→ cooking ─ready→ ready ─deliver→ delivering ─complete→ delivered
//!    └──────cancel──────┴→ cancelled
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How far an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Placed, and not yet accepted.
    Pending,
    /// Accepted; waits for a place in the kitchen.
    Confirmed,
    /// In the kitchen.
    Cooking,
    /// Waits for a driver.
    Ready,
    /// On its way.
    Delivering,
    /// Arrived. An end.
    Delivered,
    /// Given up before cooking started. An end.
    Cancelled,
}

impl OrderStatus {
    /// Every status, in the order of an order's life.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Confirmed,
        Self::Cooking,
        Self::Ready,
        Self::Delivering,
        Self::Delivered,
        Self::Cancelled,
    ];

    /// Its name on the wire and in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Cooking => "cooking",
            Self::Ready => "ready",
            Self::Delivering => "delivering",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing leads on from here.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Cancelled)
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OrderStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(UnknownStatus)
    }
}

/// A text that names no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownStatus;

impl fmt::Display for UnknownStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be pending, confirmed, cooking, ready, delivering, delivered or cancelled")
    }
}

impl std::error::Error for UnknownStatus {}

/// Something that may be done to an order, if its status allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Accept it.
    Confirm,
    /// Start to cook it.
    Cook,
    /// Finish cooking it.
    Ready,
    /// Say who drives it.
    AssignDriver,
    /// Take it out.
    Deliver,
    /// Hand it over.
    Complete,
    /// Give it up.
    Cancel,
}

impl Step {
    /// Every step, in the order of an order's life.
    pub const ALL: [Self; 7] = [
        Self::Confirm,
        Self::Cook,
        Self::Ready,
        Self::AssignDriver,
        Self::Deliver,
        Self::Complete,
        Self::Cancel,
    ];

    /// The statuses of which the order must have one.
    pub const fn needs(self) -> &'static [OrderStatus] {
        match self {
            Self::Confirm => &[OrderStatus::Pending],
            Self::Cook => &[OrderStatus::Confirmed],
            Self::Ready => &[OrderStatus::Cooking],
            Self::AssignDriver => &[OrderStatus::Confirmed, OrderStatus::Cooking, OrderStatus::Ready],
            Self::Deliver => &[OrderStatus::Ready],
            Self::Complete => &[OrderStatus::Delivering],
            Self::Cancel => &[OrderStatus::Pending, OrderStatus::Confirmed],
        }
    }

    /// The status that the order has afterwards; `None` when the step leaves it as it is.
    pub const fn leads_to(self) -> Option<OrderStatus> {
        match self {
            Self::Confirm => Some(OrderStatus::Confirmed),
            Self::Cook => Some(OrderStatus::Cooking),
            Self::Ready => Some(OrderStatus::Ready),
            Self::AssignDriver => None,
            Self::Deliver => Some(OrderStatus::Delivering),
            Self::Complete => Some(OrderStatus::Delivered),
            Self::Cancel => Some(OrderStatus::Cancelled),
        }
    }

    /// What is done to the order, to end a sentence with.
    pub(super) const fn purpose(self) -> &'static str {
        match self {
            Self::Confirm => "be confirmed",
            Self::Cook => "be cooked",
            Self::Ready => "be marked ready",
            Self::AssignDriver => "get a driver",
            Self::Deliver => "be taken out",
            Self::Complete => "be completed",
            Self::Cancel => "be cancelled",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_reads_its_own_name_only() {
        for status in OrderStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::to_value(status).expect("json"), status.as_str());
        }
        assert_eq!("Pending".parse::<OrderStatus>(), Err(UnknownStatus));
    }

    #[test]
    fn nothing_leads_on_from_an_end() {
        for step in Step::ALL {
            assert!(step.needs().iter().all(|status| !status.is_final()), "{step:?}");
        }
    }
}
