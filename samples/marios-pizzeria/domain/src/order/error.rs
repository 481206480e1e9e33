//! Why an order is refused, or does not take a step.

use std::fmt;

use neuroglia::error::Error;

use super::{OrderStatus, PaymentStatus, Step};
use crate::money::MoneyError;
use crate::refusal::Refusal;
use crate::user::UserId;

/// Why an order is refused, or does not take a step; the order is unchanged then.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OrderError {
    /// What was sent is not right.
    Refused(Refusal),
    /// Its prices do not add up to an amount of money.
    Price(MoneyError),
    /// The step needs another status.
    WrongState {
        /// The step that was asked for.
        step: Step,
        /// The status that the order has.
        actual: OrderStatus,
    },
    /// The step needs a payment that is assured.
    Unpaid {
        /// The step that was asked for.
        step: Step,
        /// How far its payment has come.
        payment: PaymentStatus,
    },
    /// Only an order whose card was declined can be paid otherwise.
    NotDeclined {
        /// The status that the order has.
        actual: OrderStatus,
        /// How far its payment has come.
        payment: PaymentStatus,
    },
    /// The payment cannot go from one state to the other.
    WrongPaymentState {
        /// The state that was asked for.
        next: PaymentStatus,
        /// The state that it has.
        actual: PaymentStatus,
    },
    /// Another driver has taken the order.
    DriverTaken {
        /// The driver who has it.
        driver: UserId,
    },
}

impl OrderError {
    /// The stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) => "request.invalid",
            Self::Price(error) => error.code(),
            Self::WrongState { .. } => "order.wrong_state",
            Self::Unpaid { .. } => "order.unpaid",
            Self::NotDeclined { .. } | Self::WrongPaymentState { .. } => "order.wrong_payment_state",
            Self::DriverTaken { .. } => "order.driver_taken",
        }
    }
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Price(error) => error.fmt(f),
            Self::WrongState { step, actual } => {
                write!(f, "the order is {actual}; it must be ")?;
                for (index, status) in step.needs().iter().enumerate() {
                    let separator = if index == 0 { "" } else { " or " };
                    write!(f, "{separator}{status}")?;
                }
                write!(f, " to {}", step.purpose())
            }
            Self::Unpaid { step, payment } => {
                let purpose = step.purpose();
                write!(f, "the order's payment is {payment}; it must be authorized or captured to {purpose}")
            }
            Self::NotDeclined { actual, payment } => {
                write!(
                    f,
                    "the order is {actual} and its payment {payment}; it must be pending and its payment failed to be \
                     paid otherwise"
                )
            }
            Self::WrongPaymentState { next, actual } => {
                write!(f, "the order's payment is {actual} and cannot become {next}")
            }
            Self::DriverTaken { .. } => {
                f.write_str("the order has another driver; a manager can change that")
            }
        }
    }
}

impl std::error::Error for OrderError {}

impl From<Refusal> for OrderError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<MoneyError> for OrderError {
    fn from(error: MoneyError) -> Self {
        Self::Price(error)
    }
}

impl From<OrderError> for Error {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::Refused(refusal) => refusal.into(),
            OrderError::Price(error) => error.into(),
            OrderError::WrongState { .. }
            | OrderError::Unpaid { .. }
            | OrderError::NotDeclined { .. }
            | OrderError::WrongPaymentState { .. }
            | OrderError::DriverTaken { .. } => Self::conflict(error.code(), error.to_string()),
        }
    }
}
