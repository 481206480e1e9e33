//! Who is asking, and the thread that ties what happens on their behalf together.
//!
//! Both are values of a scope: the web host, a consumer or an admin command provides them when it opens one.

use std::sync::Arc;

use crate::di::{Dependencies, Inject, Scope};
use crate::error::{Error, Result};

/// Who is asking: a subject with a name and roles, or nobody in particular.
///
/// Injected as a field; a clone is one reference count.
#[derive(Debug, Clone, Default)]
pub struct Identity(Option<Arc<Known>>);

#[derive(Debug)]
struct Known {
    subject: String,
    name: String,
    roles: Vec<String>,
}

impl Identity {
    /// Nobody in particular.
    pub const fn anonymous() -> Self {
        Self(None)
    }

    /// Somebody who has proved who they are.
    pub fn known(
        subject: impl Into<String>,
        name: impl Into<String>,
        roles: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let roles = roles.into_iter().map(Into::into).collect();
        Self(Some(Arc::new(Known { subject: subject.into(), name: name.into(), roles })))
    }

    /// The stable id of whoever is asking, or none.
    pub fn subject(&self) -> Option<&str> {
        self.0.as_deref().map(|known| known.subject.as_str())
    }

    /// The name that people know them by, or none.
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref().map(|known| known.name.as_str())
    }

    /// Their roles.
    pub fn roles(&self) -> &[String] {
        self.0.as_deref().map_or(&[], |known| &known.roles)
    }

    /// Whether they have proved who they are.
    pub fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// Whether they have this role.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles().iter().any(|own| own == role)
    }

    /// Their subject, when they are known.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`](crate::error::ErrorKind::Unauthenticated) when they are not.
    pub fn require(&self) -> Result<&str> {
        self.subject().ok_or_else(Error::unauthenticated)
    }
}

impl Inject for Identity {
    fn dependencies(needs: &mut Dependencies) {
        needs.one::<Self>();
    }

    fn inject(scope: &Scope) -> Result<Self> {
        scope.get::<Self>().map(|identity| (*identity).clone())
    }
}

/// The ids that tie logs, messages and answers of one piece of work together.
#[derive(Debug, Clone, Default)]
pub struct Correlation {
    /// The request or message that began it.
    pub request_id: Option<String>,
    /// The W3C `traceparent` of the running span.
    pub traceparent: Option<String>,
    /// What makes a repeated request recognisable.
    pub idempotency: Option<IdempotencyKey>,
}

/// A caller's promise that requests with the same key are one and the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Whose key it is and the key itself: keys of different callers never meet.
    pub key: String,
    /// A digest of what was asked: the same key with another digest is refused.
    pub fingerprint: String,
    /// Set when the answer was one that had been given before.
    pub replayed: Replayed,
}

/// Whether an answer was one that had been given before; shared between the pipeline and the host.
#[derive(Debug, Clone, Default)]
pub struct Replayed(Arc<std::sync::atomic::AtomicBool>);

impl Replayed {
    /// Notes that it was.
    pub fn set(&self) {
        self.0.store(true, std::sync::atomic::Ordering::Release);
    }

    /// Whether it was.
    pub fn get(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Acquire)
    }
}

impl PartialEq for Replayed {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Replayed {}
