//! Browsers: a session, found by a cookie that no script can read.
//!
//! # Design notes
//! - **The cookie** is `HttpOnly`, `SameSite=Strict`, and for the whole site. Over https it is called `__Host-session`: a
//!   name that a browser takes from nobody but the host itself, and over https only.
//! - **A cookie comes along by itself**, so that a page of somebody else's could have requests sent in its owner's name.
//!   Beside `SameSite`, a request with the cookie that may change something must therefore say that it comes from this
//!   site: by `Sec-Fetch-Site`, which browsers write and scripts cannot, or else by an `Origin` with our host.
//! - **A cookie whose session has ended is nobody's**, and not an error: a script cannot take it away, and its browser
//!   must still reach the login. One that cannot be looked up is an error; see [`Sessions`].
//! - `Authorization` comes first: whoever sends it means it.

use std::fmt;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use neuroglia_core::cache::Sessions;
use neuroglia_core::error::{Error, ErrorKind, Result};
use neuroglia_core::identity::Identity;
use neuroglia_core::settings::Secret;

use crate::web::Problem;
use crate::web::openapi::Describe;

/// The cookie's name over https, and otherwise.
pub(crate) const COOKIE_NAME: &str = "__Host-session";
const PLAIN_COOKIE_NAME: &str = "session";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Begins and ends the sessions of browsers. As a service of the application it has the host know who comes with one.
pub struct SessionCookies {
    sessions: Arc<Sessions>,
    is_secure: bool,
}

/// The session's id that came with a request, if one did; an extractor.
#[derive(Clone, Default)]
pub struct PresentedSession(Option<Secret<String>>);

/// What has a browser keep a session's id, or forget it: the value of `Set-Cookie`.
pub struct SetCookie(HeaderValue);

impl SessionCookies {
    /// Cookies for these sessions. `is_secure` is whether browsers send them over https only, which is not to be left out
    /// where anybody listens.
    pub fn new(sessions: Arc<Sessions>, is_secure: bool) -> Self {
        Self { sessions, is_secure }
    }

    /// Begins a session of somebody who has proved who they are; the one that they came with is ended.
    ///
    /// # Errors
    /// Those of [`Sessions::begin`].
    pub async fn begin(&self, presented: &PresentedSession, identity: &Identity) -> Result<SetCookie> {
        let id = self.sessions.begin(identity, presented.id()).await?;
        Ok(self.cookie(id.expose(), self.sessions.lifetime().as_secs()))
    }

    /// Ends the session that came with a request, if one did.
    ///
    /// # Errors
    /// `Unavailable` when it may go on.
    pub async fn end(&self, presented: &PresentedSession) -> Result<SetCookie> {
        if let Some(id) = presented.id() {
            self.sessions.end(id).await?;
        }
        Ok(self.cookie("", 0))
    }

    /// The session's id in a request's cookies.
    pub(crate) fn presented(&self, headers: &HeaderMap) -> Option<PresentedSession> {
        let name = self.name();
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let (_, id) = pairs.find(|(found, id)| *found == name && !id.is_empty())?;
        Some(PresentedSession(Some(Secret::new(id.to_owned()))))
    }

    /// Who comes with this session; nobody in particular when it has ended.
    pub(crate) async fn identify(&self, parts: &Parts, presented: &PresentedSession) -> Result<Identity> {
        if !parts.method.is_safe() {
            check_origin(&parts.headers, &parts.uri)?;
        }
        let session = match presented.id() {
            Some(id) => self.sessions.find(id).await?,
            None => None,
        };
        Ok(session.map_or_else(Identity::anonymous, |session| session.identity))
    }

    fn name(&self) -> &'static str {
        if self.is_secure { COOKIE_NAME } else { PLAIN_COOKIE_NAME }
    }

    fn cookie(&self, id: &str, max_age_s: u64) -> SetCookie {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let text =
            format!("{}={id}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}", self.name());
        let mut value = HeaderValue::try_from(text).expect("ids are letters and digits");
        value.set_sensitive(true);
        SetCookie(value)
    }
}

impl PresentedSession {
    fn id(&self) -> Option<&str> {
        self.0.as_ref().map(|id| id.expose().as_str())
    }
}

impl SetCookie {
    pub(crate) fn into_header(self) -> HeaderValue {
        self.0
    }
}

/// Whether a request says that it comes from this site.
fn check_origin(headers: &HeaderMap, uri: &Uri) -> Result<()> {
    let is_ours = match headers.get(SEC_FETCH_SITE) {
        Some(site) => site == "same-origin" || site == "none",
        None => match (headers.get(header::ORIGIN).and_then(authority), host(headers, uri)) {
            (Some(origin), Some(host)) => origin.eq_ignore_ascii_case(host),
            _ => false,
        },
    };
    if is_ours {
        return Ok(());
    }
    let detail = "a request with a session's cookie that changes something comes from a page of this site; \
                  elsewhere, send the header Origin with this site's address, or an access token instead";
    Err(Error::new(ErrorKind::Forbidden, "auth.cross_site", detail))
}

/// The host and port of `https://shop.example:8443`.
fn authority(origin: &HeaderValue) -> Option<&str> {
    origin.to_str().ok()?.split_once("://").map(|(_, authority)| authority)
}

fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    // With HTTP/2 the authority of the request stands for the header.
    let header = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    header.or_else(|| uri.authority().map(http::uri::Authority::as_str))
}

impl<S: Send + Sync> FromRequestParts<S> for PresentedSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

impl Describe for PresentedSession {}

impl fmt::Debug for SessionCookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionCookies")
            .field("sessions", &self.sessions)
            .field("is_secure", &self.is_secure)
            .finish()
    }
}

impl fmt::Debug for PresentedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentedSession").field("is_there", &self.0.is_some()).finish_non_exhaustive()
    }
}

impl fmt::Debug for SetCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetCookie")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_change_comes_from_this_site_or_is_refused() {
        let host = (header::HOST, "shop.example:8443");
        let table: [(&[(HeaderName, &'static str)], bool); 9] = [
            (&[], false),
            (&[(SEC_FETCH_SITE, "same-origin")], true),
            (&[(SEC_FETCH_SITE, "none")], true),
            (&[(SEC_FETCH_SITE, "same-site")], false),
            (&[(SEC_FETCH_SITE, "cross-site"), (header::ORIGIN, "https://shop.example:8443")], false),
            (&[(header::ORIGIN, "https://shop.example:8443")], true),
            (&[(header::ORIGIN, "https://shop.example")], false),
            (&[(header::ORIGIN, "https://evil.example/shop.example:8443")], false),
            (&[(header::ORIGIN, "null")], false),
        ];
        for (pairs, is_ours) in table {
            let headers = headers(&[std::slice::from_ref(&host), pairs].concat());
            assert_eq!(check_origin(&headers, &Uri::from_static("/")).is_ok(), is_ours, "{pairs:?}");
        }
    }
}
