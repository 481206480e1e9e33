//! Whose migrations: the framework's own, or the application's. Both histories are kept in `ng_migration`.

/// Whose history.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Owner {
    Framework,
    Application,
}

impl Owner {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Framework => "neuroglia",
            Self::Application => "application",
        }
    }
}
