//! What one deploy sets, for those who judge whether it should: rules, and comparisons with other deploys.

use std::fmt;

use url::Url;
use zeroize::Zeroizing;

use super::source::{Environment, Source};
use super::variable::{Schema, Variable};
use super::weakness::weakness;

/// What one deploy sets: the text of each variable that an application declares, its default where it has one.
///
/// What cannot be read counts as not set; loading the settings tells of it. It holds secrets and shows none.
pub struct Deploy {
    values: Vec<Setting>,
    environment: Environment,
}

/// One variable of a deploy.
pub struct Setting {
    variable: Variable,
    text: Option<Zeroizing<String>>,
    source: Source,
    is_mentioned: bool,
}

impl Deploy {
    /// What this environment sets of the declared variables.
    pub fn of(schema: &Schema, environment: &Environment) -> Self {
        let setting = |variable: &Variable| {
            let found = environment.find(variable).ok().flatten();
            let is_mentioned = environment.mentions(variable);
            // What is set and cannot be read is something else than the default.
            let default = variable.default_text().filter(|_| !is_mentioned);
            let (text, source) = match (found, default) {
                (Some(found), _) => (Some(found.text), found.source),
                (None, Some(default)) => (Some(Zeroizing::new(default.to_owned())), Source::Default),
                (None, None) => (None, Source::NotSet),
            };
            Setting { variable: variable.clone(), text, source, is_mentioned }
        };
        Self { values: schema.variables().map(setting).collect(), environment: environment.clone() }
    }

    /// Every declared variable, in the order of declaration.
    pub fn settings(&self) -> impl Iterator<Item = &Setting> {
        self.values.iter()
    }

    /// A declared variable.
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        self.values.iter().find(|setting| setting.variable.name() == name)
    }

    /// The text of a declared variable; none when it is not set.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.setting(name)?.text()
    }

    /// What the deploy says of the server behind a URL: `DATABASE_VERSION=postgres 15` beside `DATABASE_URL`. Nothing but a
    /// comparison reads it.
    pub fn version(&self, setting: &Setting) -> Option<String> {
        let name = setting.name().strip_suffix("_URL").unwrap_or(setting.name());
        let version = Variable::new(format!("{name}_VERSION"));
        self.environment.find(&version).ok().flatten().map(|found| found.text.to_string())
    }
}

impl Setting {
    /// The variable as it is declared.
    pub fn variable(&self) -> &Variable {
        &self.variable
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.variable.name()
    }

    /// Where its value comes from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Whether it is set, also when its text is in a file that is not here.
    pub fn is_set(&self) -> bool {
        self.is_mentioned || self.text.is_some()
    }

    /// Its text, which may be a secret; none when it is not set, or cannot be read.
    pub fn text(&self) -> Option<&str> {
        self.text.as_ref().map(|text| text.as_str())
    }

    /// Whether it is declared as a URL, as attached resources are.
    pub fn is_url(&self) -> bool {
        self.variable.form().url
    }

    /// Its text as a URL, where it is declared as one.
    pub fn url(&self) -> Option<Url> {
        if self.is_url() { self.text()?.parse().ok() } else { None }
    }

    /// Whether a secret stands in the deploy itself, and not in a file that it names: a secret variable, or the password in
    /// a URL.
    pub fn holds_secret(&self) -> bool {
        matches!(self.source, Source::Environment { .. })
            && (self.variable.form().secret || self.url().is_some_and(|url| url.password().is_some()))
    }

    /// Whether its URL has credentials that everybody knows, such as `guest:guest`.
    pub fn has_known_credentials(&self) -> bool {
        self.url().is_some_and(|url| {
            url.password().is_some_and(|password| password == url.username() || weakness(password).is_some())
        })
    }
}

impl fmt::Debug for Deploy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.settings()).finish()
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting")
            .field("name", &self.name())
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
