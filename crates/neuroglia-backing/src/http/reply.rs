//! What a service answered, before it is decoded.

use std::time::Duration;

use bytes::Bytes;
use neuroglia::clock::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;

use super::error::{ServiceError, is_transient};
use super::retry_after;

/// An answer that is final: of a success, or of a refusal (4xx) that another try would not change.
#[derive(Debug)]
pub struct Reply {
    service: &'static str,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    /// Reads an answer to its end, unless it is longer than it may be.
    pub(super) async fn read(
        service: &'static str,
        mut response: Response,
        bytes_max: usize,
        now: Timestamp,
    ) -> Result<Self, ServiceError> {
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        if is_transient(status) || status.is_redirection() {
            // Its body is not read: the connection is given up, and so is whatever was on its way.
            let retry_after: Option<Duration> = retry_after::pause(&headers, now);
            return Err(ServiceError::Status { service, status, retry_after });
        }
        let too_large = || ServiceError::Unreadable {
            service,
            what: format!("is larger than the {bytes_max} bytes that it may be"),
        };
        let announced =
            response.content_length().map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
        if announced > bytes_max {
            return Err(too_large());
        }
        let mut body = Vec::with_capacity(announced);
        let cut = |cause: reqwest::Error| no_answer(service, cause);
        while let Some(chunk) = response.chunk().await.map_err(cut)? {
            if chunk.len() > bytes_max - body.len() {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Self { service, status, headers, body: body.into() })
    }

    /// What an answer says before its body, which is not read; an error when the service says itself that it is ill.
    pub(super) fn head(service: &'static str, mut response: Response) -> Result<Self, ServiceError> {
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        if status.is_server_error() {
            return Err(ServiceError::Status { service, status, retry_after: None });
        }
        Ok(Self { service, status, headers, body: Bytes::new() })
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// A header, when it is there once and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    /// The body as it came.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// This, when it tells of a success.
    ///
    /// # Errors
    /// [`ServiceError::Status`] when it tells of a refusal.
    pub fn success(self) -> Result<Self, ServiceError> {
        if self.status.is_success() {
            return Ok(self);
        }
        Err(ServiceError::Status { service: self.service, status: self.status, retry_after: None })
    }

    /// This, when it tells of a success; nothing when it says that there is no such thing (404).
    ///
    /// ```no_run
    /// # use neuroglia_backing::http::{ServiceClient, ServiceError};
    /// #[derive(serde::Deserialize)]
    /// struct Pizza { name: String }
    ///
    /// # async fn example(menu: &ServiceClient, id: &str) -> Result<Option<Pizza>, ServiceError> {
    /// let found = menu.get(["pizzas", id]).send().await?.found()?;
    /// let pizza: Option<Pizza> = found.map(|reply| reply.json()).transpose()?;
    /// # Ok(pizza) }
    /// ```
    ///
    /// # Errors
    /// [`ServiceError::Status`] when it tells of another refusal.
    pub fn found(self) -> Result<Option<Self>, ServiceError> {
        if self.status == StatusCode::NOT_FOUND { Ok(None) } else { self.success().map(Some) }
    }

    /// What a success says, as JSON of this shape.
    ///
    /// # Errors
    /// Those of [`Reply::success`] and of [`Reply::decode`].
    pub fn json<T: DeserializeOwned>(self) -> Result<T, ServiceError> {
        self.success()?.decode()
    }

    /// What it says, whatever its status, as JSON of this shape; for refusals that say why.
    ///
    /// # Errors
    /// [`ServiceError::Unreadable`] when it is not JSON by its content type, or has another shape.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, ServiceError> {
        let unreadable = |what: String| ServiceError::Unreadable { service: self.service, what };
        let content_type = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        if !is_json(content_type) {
            return Err(unreadable("is not JSON by its content type".to_owned()));
        }
        serde_json::from_slice(&self.body).map_err(|cause| {
            // The parser's own words could repeat what was answered.
            let (line, column) = (cause.line(), cause.column());
            unreadable(format!("has another shape than expected, at line {line} column {column}"))
        })
    }
}

/// The error of a call whose answer did not come.
pub(super) fn no_answer(service: &'static str, cause: reqwest::Error) -> ServiceError {
    let may_have_arrived = !cause.is_connect();
    // The URL has ids in it, and stands in the text of the error.
    ServiceError::NoAnswer { service, may_have_arrived, source: cause.without_url().into() }
}

/// `application/json`, or anything that is JSON by its suffix.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_known_by_its_content_type() {
        for json in ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"] {
            assert!(is_json(json), "{json}");
        }
        for other in ["", "text/html", "text/json+html", "application/jsonp", "json"] {
            assert!(!is_json(other), "{other}");
        }
    }
}
