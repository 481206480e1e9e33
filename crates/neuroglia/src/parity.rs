//! Whether the deploys of an application resemble each other, and whether one is what a deploy should be.
//!
//! A deploy is judged by itself at boot and by `config --check`: [`rules`] find what weakens it, as warnings, because an
//! operator may know why. Several are compared by `config --parity DEPLOY DEPLOY`: what attaches another kind of server
//! here than there will behave otherwise in production than it did before ([`compare`]).
//!
//! Nothing is switched by any of it, and no deploy is known by its name: a rule looks at what is set.

mod compare;
mod rules;

use std::fmt;
use std::path::Path;

use neuroglia_core::settings::{Deploy, Environment, Schema, Warning, read_env_file};

pub use compare::{Comparison, Difference};
pub(crate) use compare::{address, attached, kind};

/// A rule that judges one deploy.
type Rule = fn(&Deploy) -> Vec<Warning>;

/// Judges deploys by the framework's rules and by those that an application adds.
///
/// ```
/// use neuroglia::App;
/// use neuroglia::parity::EnvironmentValidator;
/// use neuroglia::settings::{Deploy, Environment, Schema, Settings, Warning};
///
/// #[derive(Settings)]
/// struct ShopSettings {
///     /// Who reads the daily report.
///     report_to: Option<String>,
/// }
///
/// fn parity(validator: EnvironmentValidator) -> EnvironmentValidator {
///     validator.rule(somebody_reads_reports)
/// }
///
/// fn somebody_reads_reports(deploy: &Deploy) -> Vec<Warning> {
///     let is_said = deploy.text("REPORT_TO").is_some();
///     let nobody = || Warning {
///         code: "report.nobody",
///         what: "nobody reads the daily report".to_owned(),
///         at: "REPORT_TO".to_owned(),
///         fix: "set it to an address".to_owned(),
///     };
///     if is_said { Vec::new() } else { vec![nobody()] }
/// }
///
/// let app = App::<ShopSettings>::new("shop").parity(parity);
/// # let _ = app;
///
/// // A rule sees what the settings declare, and nothing else.
/// let deploy = |variables: &[(&str, &str)]| {
///     Deploy::of(&Schema::of::<ShopSettings>(), &Environment::from_pairs(variables.iter().copied()))
/// };
/// assert_eq!(somebody_reads_reports(&deploy(&[])).len(), 1);
/// assert!(somebody_reads_reports(&deploy(&[("REPORT_TO", "mario@example.com")])).is_empty());
/// ```
pub struct EnvironmentValidator {
    rules: Vec<Rule>,
    expected: Vec<(&'static str, &'static str)>,
    accepted: Vec<(&'static str, &'static str)>,
}

impl Default for EnvironmentValidator {
    fn default() -> Self {
        Self { rules: rules::ALL.to_vec(), expected: Vec::new(), accepted: Vec::new() }
    }
}

impl EnvironmentValidator {
    /// Adds a rule, for each deploy by itself.
    #[must_use]
    pub fn rule(mut self, rule: fn(&Deploy) -> Vec<Warning>) -> Self {
        self.rules.push(rule);
        self
    }

    /// Says which kind of server a variable attaches where it counts, by the scheme of its URL: a deploy that attaches
    /// another is warned about at its start, because what is tried there is tried on something else.
    ///
    /// ```
    /// use neuroglia::App;
    ///
    /// let app = App::<()>::new("shop").parity(|parity| parity.expects("DATABASE_URL", "postgres"));
    /// # let _ = app;
    /// ```
    #[must_use]
    pub fn expects(mut self, variable: &'static str, kind: &'static str) -> Self {
        self.expected.push((variable, kind));
        self
    }

    /// Says why it does not matter that deploys differ in this variable. The difference is still shown, with the reason.
    /// A secret in a deploy is no such difference, and matters all the same.
    #[must_use]
    pub fn accept(mut self, variable: &'static str, reason: &'static str) -> Self {
        self.accepted.push((variable, reason));
        self
    }

    /// What is to be said of one deploy.
    pub fn validate(&self, deploy: &Deploy) -> Vec<Warning> {
        let of_rules = self.rules.iter().flat_map(|rule| rule(deploy));
        let of_kinds =
            self.expected.iter().filter_map(|(name, kind)| rules::another_kind(deploy, name, kind));
        of_rules.chain(of_kinds).collect()
    }

    /// In what deploys differ; the first one is what the others are compared with.
    pub fn compare(&self, deploys: &[(String, Deploy)]) -> Comparison {
        Comparison::of(deploys, &self.accepted)
    }
}

impl fmt::Debug for EnvironmentValidator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvironmentValidator").field("rules", &self.rules.len()).finish_non_exhaustive()
    }
}

/// Reads what a deploy sets from its folder's `app.env`, or from a file of that form.
///
/// # Errors
/// When there is none, or all lines that are wrong.
pub(crate) fn read_deploy(schema: &Schema, path: &Path) -> Result<Deploy, String> {
    let file = if path.is_dir() { path.join("app.env") } else { path.to_owned() };
    let variables = read_env_file(&file)?.ok_or_else(|| format!("there is no {}", file.display()))?;
    Ok(Deploy::of(schema, &Environment::from_pairs(variables)))
}
