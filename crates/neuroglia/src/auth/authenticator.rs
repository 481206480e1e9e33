//! The port through which the web host learns who is asking.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::HeaderValue;
use neuroglia_core::error::Result;
use neuroglia_core::identity::Identity;

/// Tells who is asking, by the credentials that come with a request.
///
/// Without credentials the answer is [`Identity::anonymous`]; whether that is enough is decided by the route.
/// Credentials that are not understood or not valid are refused, on public routes too.
///
/// ```
/// use http::HeaderValue;
/// use neuroglia::auth::{Authentication, Authenticator};
/// use neuroglia_core::{error::Error, identity::Identity};
///
/// /// Everybody who knows the word is the robot.
/// struct PassPhrase(&'static str);
///
/// impl Authenticator for PassPhrase {
///     fn authenticate<'a>(&'a self, authorization: Option<&'a HeaderValue>) -> Authentication<'a> {
///         Authentication::ready(match authorization {
///             None => Ok(Identity::anonymous()),
///             Some(value) if value == self.0 => Ok(Identity::known("robot", "Robot", ["robot"])),
///             Some(_) => Err(Error::unauthenticated()),
///         })
///     }
/// }
/// ```
pub trait Authenticator: Send + Sync {
    /// Who is asking, by the `Authorization` header when there is one.
    ///
    /// Resolves to an error of the kind
    /// [`Unauthenticated`](neuroglia_core::error::ErrorKind::Unauthenticated) when the credentials are refused.
    fn authenticate<'a>(&'a self, authorization: Option<&'a HeaderValue>) -> Authentication<'a>;
}

/// An answer that is there already, or has to be waited for.
///
/// Most requests are told apart without waiting for anything, and an answer at hand needs no allocation.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Authentication<'a>(Answer<'a>);

enum Answer<'a> {
    Ready(Option<Result<Identity>>),
    Later(BoxFuture<'a, Result<Identity>>),
}

impl<'a> Authentication<'a> {
    /// An answer that is known now.
    pub fn ready(answer: Result<Identity>) -> Self {
        Self(Answer::Ready(Some(answer)))
    }

    /// An answer that somebody else has to be asked for.
    pub fn later(answer: impl Future<Output = Result<Identity>> + Send + 'a) -> Self {
        Self(Answer::Later(Box::pin(answer)))
    }
}

impl Future for Authentication<'_> {
    type Output = Result<Identity>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Answer::Ready(answer) => {
                Poll::Ready(answer.take().expect("a future is not polled after its end"))
            }
            Answer::Later(answer) => answer.as_mut().poll(cx),
        }
    }
}

impl fmt::Debug for Authentication<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Answer::Ready(_) => "Authentication::ready",
            Answer::Later(_) => "Authentication::later",
        })
    }
}

/// The token of `Bearer <token>` (RFC 6750, section 2.1), or none when the value is anything else.
pub(crate) fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_what_follows_the_scheme() {
        let table = [
            ("Bearer abc", Some("abc")),
            ("bearer abc", Some("abc")),
            ("BEARER   abc", Some("abc")),
            ("Bearer", None),
            ("Bearer ", None),
            ("", None),
            ("Basic abc", None),
            ("Bearerabc", None),
            ("abc Bearer", None),
        ];
        for (text, token) in table {
            assert_eq!(bearer(&HeaderValue::from_static(text)), token, "{text}");
        }
        assert_eq!(bearer(&HeaderValue::from_bytes(b"Bearer \xff").expect("obs-text is allowed")), None);
    }

    #[tokio::test]
    async fn an_answer_may_be_ready_or_come_later() {
        assert!(!Authentication::ready(Ok(Identity::anonymous())).await.expect("an answer").is_known());
        let later = Authentication::later(async {
            tokio::task::yield_now().await;
            Ok(Identity::known("u-1", "Ada", ["customer"]))
        });
        assert!(later.await.expect("an answer").is_known());
    }
}
