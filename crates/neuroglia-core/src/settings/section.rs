//! The trait behind `#[derive(Settings)]`.

use std::fmt;

use crate::settings::loader::Loader;

/// A struct that is filled from variables.
///
/// The derive writes the implementation. By hand, ask the [`Loader`] for every value first and put the struct
/// together afterwards, so that all faults are found; ask for the same variables whatever comes back, because the
/// same method, run without an environment, is what describes the settings.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a section of settings",
    label = "not a section of settings",
    note = "a section is a struct with `#[derive(Settings)]`, or an `Option` of one",
    note = "for a single value, remove `section` from `#[setting(…)]`"
)]
pub trait Settings: Sized + Send + Sync + 'static {
    /// Loads the struct; `None` when the loader was told of a fault.
    fn load(loader: &mut Loader) -> Option<Self>;
}

/// No settings at all.
impl Settings for () {
    fn load(_: &mut Loader) -> Option<Self> {
        Some(())
    }
}

/// Two structs from the same environment: the host's own and the application's.
impl<A: Settings, B: Settings> Settings for (A, B) {
    fn load(loader: &mut Loader) -> Option<Self> {
        let first = A::load(loader);
        let second = B::load(loader);
        Some((first?, second?))
    }
}

/// A section that is there when any of its variables is set, and is then held to all its rules.
impl<S: Settings> Settings for Option<S> {
    fn load(loader: &mut Loader) -> Option<Self> {
        loader.load_if_mentioned()
    }
}

/// What a struct's own check found wrong, field by field.
///
/// ```
/// # extern crate neuroglia_core as neuroglia;
/// use std::net::IpAddr;
/// use neuroglia::settings::{Problems, Secret, Settings};
///
/// #[derive(Settings)]
/// #[setting(check = strangers_need_a_token)]
/// pub struct AdminSettings {
///     /// The address the admin surface binds.
///     #[setting(default = "127.0.0.1")]
///     pub host: IpAddr,
///     /// What a caller of the admin surface must present.
///     pub token: Option<Secret<String>>,
/// }
///
/// fn strangers_need_a_token(settings: &AdminSettings, problems: &mut Problems) {
///     if !settings.host.is_loopback() && settings.token.is_none() {
///         problems.add("token", "must be set when the host is not a loopback address");
///     }
/// }
/// ```
#[derive(Default)]
pub struct Problems(Vec<(String, String)>);

impl Problems {
    /// Adds a problem with a field of the struct: a phrase that continues the variable's name.
    pub fn add(&mut self, field: &str, problem: impl fmt::Display) {
        self.0.push((field.to_ascii_uppercase(), problem.to_string()));
    }

    pub(super) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }
}
