//! Why a call came to nothing, and what its caller should do.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use neuroglia::error::{Error, ErrorKind};
use reqwest::StatusCode;

/// Why a call came to nothing. Its text names the service and never its URL, what was sent, or what was answered.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServiceError {
    /// The service did not answer lately, and is left alone for so long; nothing was sent.
    Open {
        /// The service.
        service: &'static str,
        /// For how long.
        retry_after: Duration,
    },
    /// As many calls run as may, and none ended in time; nothing was sent.
    Busy {
        /// The service.
        service: &'static str,
    },
    /// There was no answer, or not the whole of one.
    NoAnswer {
        /// The service.
        service: &'static str,
        /// Whether the request may have arrived, so that its effect is not known.
        may_have_arrived: bool,
        /// What happened instead.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// It answered with a status that is none of those that were hoped for.
    Status {
        /// The service.
        service: &'static str,
        /// The status.
        status: StatusCode,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// It answered with something that is not what was agreed: too large, of another type, of another shape.
    Unreadable {
        /// The service.
        service: &'static str,
        /// What is wrong with the answer, as a fragment.
        what: String,
    },
    /// The request could not be made: a defect of the caller.
    Request {
        /// The service.
        service: &'static str,
        /// What is wrong with it.
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl ServiceError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Open { .. } | Self::Busy { .. } | Self::NoAnswer { .. } => true,
            Self::Status { status, .. } => is_transient(*status),
            Self::Unreadable { .. } | Self::Request { .. } => false,
        }
    }

    /// When another try makes sense, where the service or the breaker says so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Open { retry_after, .. } => Some(*retry_after),
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the breaker takes it for a sign that the service is ill.
    pub(super) fn is_of_an_ill_service(&self) -> bool {
        match self {
            Self::NoAnswer { .. } => true,
            Self::Status { status, .. } => status.is_server_error() || *status == StatusCode::REQUEST_TIMEOUT,
            _ => false,
        }
    }
}

/// Whether an answer of this status may be another one later.
pub(super) fn is_transient(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { service, .. } => {
                write!(f, "the service {service} did not answer lately and is left alone for a while")
            }
            Self::Busy { service } => write!(f, "too many calls of the service {service} run already"),
            Self::NoAnswer { service, may_have_arrived: false, .. } => {
                write!(f, "the service {service} cannot be reached")
            }
            Self::NoAnswer { service, .. } => write!(f, "the service {service} did not answer"),
            Self::Status { service, status, .. } => {
                write!(f, "the service {service} answered with {}", status.as_u16())
            }
            Self::Unreadable { service, what } => write!(f, "the answer of the service {service} {what}"),
            Self::Request { service, .. } => {
                write!(f, "a request to the service {service} could not be made")
            }
        }
    }
}

impl StdError for ServiceError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::NoAnswer { source, .. } | Self::Request { source, .. } => Some(&**source),
            _ => None,
        }
    }
}

impl From<ServiceError> for Error {
    /// What may pass is [`ErrorKind::Unavailable`], with the seconds after which another try makes sense. So are
    /// credentials that the service refuses: an operator can mend that, and the caller of ours cannot. The rest is a
    /// defect, of this program or of the service.
    fn from(error: ServiceError) -> Self {
        let retry_after = error.retry_after();
        let refuses_us = matches!(
            error,
            ServiceError::Status { status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, .. }
        );
        if !error.is_transient() && !refuses_us {
            return Self::internal(error);
        }
        let code = if refuses_us { "service.credentials" } else { "service.unavailable" };
        let unavailable =
            Self::new(ErrorKind::Unavailable, code, "service temporarily unavailable").with_source(error);
        match retry_after {
            // Half a second is no second: whoever came at once would come too early.
            Some(after) => unavailable.with_retry_after(after.as_secs_f64().ceil() as u64),
            None => unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> ServiceError {
        let status = StatusCode::from_u16(status).expect("a status");
        ServiceError::Status { service: "oven", status, retry_after: Some(Duration::from_millis(1_500)) }
    }

    #[test]
    fn the_status_decides_what_the_caller_does() {
        let kind = |status| Error::from(answered(status)).kind();
        for status in [408, 429, 500, 502, 503, 504, 401, 403] {
            assert_eq!(kind(status), ErrorKind::Unavailable, "{status}");
        }
        for status in [302, 400, 404, 409, 422] {
            assert_eq!(kind(status), ErrorKind::Internal, "{status}");
        }
        assert_eq!(Error::from(answered(503)).retry_after_s(), Some(2));
    }
}
