//! Who may call a route: declared on every route, checked before anything else of it runs.

use std::fmt;

use neuroglia_core::error::{Error, Result};
use neuroglia_core::identity::Identity;
use serde::Serialize;

/// Who may call a route.
///
/// A controller's action names it in its attribute (`public`, `authenticated`, `roles("chef", "manager")` or
/// `policy = EXPRESSION`); without one it does not compile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Anyone, also without credentials; wrong credentials are refused all the same.
    Public,
    /// Anyone who has proved who they are.
    Authenticated,
    /// Whoever has at least one of these roles.
    Roles(Vec<String>),
}

impl Policy {
    /// Whoever has at least one of these roles.
    pub fn roles(roles: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Roles(roles.into_iter().map(Into::into).collect())
    }

    /// Whether this caller may.
    ///
    /// # Errors
    /// `Unauthenticated` when the caller is not known and would have to be, `Forbidden` when the caller lacks
    /// the role.
    pub fn check(&self, caller: &Identity) -> Result<()> {
        match self {
            Self::Public => Ok(()),
            _ if !caller.is_known() => Err(Error::unauthenticated()),
            Self::Authenticated => Ok(()),
            Self::Roles(roles) if roles.iter().any(|role| caller.has_role(role)) => Ok(()),
            Self::Roles(_) => Err(Error::forbidden()),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::Authenticated => f.write_str("authenticated"),
            Self::Roles(roles) => write!(f, "roles({})", roles.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroglia_core::error::ErrorKind;

    #[test]
    fn who_may_call() {
        let nobody = Identity::anonymous();
        let chef = Identity::known("1", "Luigi", ["chef"]);
        let outcome = |policy: &Policy, caller: &Identity| policy.check(caller).map_err(|error| error.kind());
        assert_eq!(outcome(&Policy::Public, &nobody), Ok(()));
        assert_eq!(outcome(&Policy::Authenticated, &nobody), Err(ErrorKind::Unauthenticated));
        assert_eq!(outcome(&Policy::Authenticated, &chef), Ok(()));
        assert_eq!(outcome(&Policy::roles(["chef", "manager"]), &chef), Ok(()));
        assert_eq!(outcome(&Policy::roles(["manager"]), &chef), Err(ErrorKind::Forbidden));
        assert_eq!(outcome(&Policy::roles(["manager"]), &nobody), Err(ErrorKind::Unauthenticated));
    }
}
