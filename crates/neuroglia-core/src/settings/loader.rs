//! Loading: each value is asked for, judged and noted, and a fault never stops the next one.

use std::fmt;

use url::Url;
use zeroize::Zeroizing;

use crate::fault::{Area, Fault, Faults};
use crate::settings::redaction::{
    REDACTED, carries_credentials, printable, redact_text, redact_url, shortened,
};
use crate::settings::report::{Entry, Report, Warning};
use crate::settings::section::{Problems, Settings};
use crate::settings::source::{Environment, Found, Source, is_service_link};
use crate::settings::suggestion;
use crate::settings::value::{Form, Value, items};
use crate::settings::variable::{Schema, Variable};
use crate::settings::weakness::weakness;

/// The settings, when there was no fault, and what is to be said about them in any case.
///
/// It has no `Debug`, as settings hold secrets.
#[must_use]
pub struct Loaded<S> {
    /// The settings; `None` exactly when the report has faults.
    pub settings: Option<S>,
    /// Every variable with its source, the warnings, the faults.
    pub report: Report,
}

impl<S> Loaded<S> {
    /// The settings, or all faults.
    ///
    /// # Errors
    /// The faults of the report.
    pub fn into_result(self) -> Result<S, Faults> {
        self.settings.ok_or_else(|| self.report.into_faults())
    }
}

/// Hands out values from one environment and gathers what is wrong with them.
///
/// `#[derive(Settings)]` writes the calls. Without the macro:
///
/// ```
/// # extern crate neuroglia_core as neuroglia;
/// use neuroglia::settings::{Environment, Loader, Settings, Variable};
///
/// struct ServerSettings {
///     port: u16,
/// }
///
/// impl Settings for ServerSettings {
///     fn load(loader: &mut Loader) -> Option<Self> {
///         let port = loader.value(Variable::new("PORT").default("8000").help("The port the HTTP server binds."));
///         Some(Self { port: port? })
///     }
/// }
///
/// let environment = Environment::from_pairs([("PORT", "9000")]);
/// assert_eq!(environment.load::<ServerSettings>(&[]).settings.map(|settings| settings.port), Some(9000));
/// ```
pub struct Loader {
    /// `None` while only declarations are taken.
    environment: Option<Environment>,
    prefix: String,
    only_with: Option<String>,
    defaults: Vec<GivenDefault>,
    sections: Vec<String>,
    schema: Schema,
    entries: Vec<Entry>,
    warnings: Vec<Warning>,
    faults: Faults,
    secrets: Vec<Zeroizing<String>>,
}

/// A variable that was asked for.
struct Asked {
    variable: Variable,
    is_new: bool,
    has_secret_default: bool,
    found: Option<Found>,
}

/// A default that a struct has for a variable of one of its sections.
struct GivenDefault {
    /// The variable's name in full.
    name: String,
    text: String,
    is_used: bool,
}

impl GivenDefault {
    fn of_nothing(self) -> Fault {
        Fault {
            area: Area::Settings,
            code: "default_of_nothing",
            what: format!("`{}` is given a default, and is no variable of that section", self.name),
            at: format!("`{}` in the program's settings", self.name),
            fix: String::from("name a field of the section's struct in `defaults(…)`"),
        }
    }
}

impl Loader {
    /// A loader of this environment.
    pub fn new(environment: Environment) -> Self {
        Self { environment: Some(environment), ..Self::declaring() }
    }

    /// A loader that takes declarations and gives no value.
    pub(super) fn declaring() -> Self {
        Self {
            environment: None,
            prefix: String::new(),
            only_with: None,
            defaults: Vec::new(),
            sections: Vec::new(),
            schema: Schema::default(),
            entries: Vec::new(),
            warnings: Vec::new(),
            faults: Faults::default(),
            secrets: Vec::new(),
        }
    }

    pub(super) fn into_schema(self) -> Schema {
        self.schema
    }

    /// Loads a struct; its variables have the prefix of the section that is being loaded, if any.
    pub fn load<S: Settings>(&mut self) -> Option<S> {
        S::load(self)
    }

    /// Loads a struct whose variables begin with `name` and an underscore.
    pub fn section<S: Settings>(&mut self, name: &str) -> Option<S> {
        let outer = self.prefix.clone();
        self.prefix = format!("{outer}{name}_");
        if !self.sections.contains(&self.prefix) {
            self.sections.push(self.prefix.clone());
        }
        let section = S::load(self);
        self.prefix = outer;
        section
    }

    /// Loads what `load` asks for, with other defaults for some of its variables: each a name, without the prefix of
    /// the section that is being loaded, and a text as an operator would write it.
    ///
    /// So an application has a section of a library tell its own name. Of several defaults for the same variable the
    /// outermost counts, as it is nearest to the application. `#[setting(section, defaults(name = "…"))]` writes the
    /// call.
    pub fn with_defaults<S>(
        &mut self,
        defaults: &[(&str, &str)],
        load: impl FnOnce(&mut Self) -> Option<S>,
    ) -> Option<S> {
        let outer = self.defaults.len();
        self.defaults.extend(defaults.iter().map(|(name, text)| GivenDefault {
            name: format!("{}{name}", self.prefix),
            text: (*text).to_owned(),
            is_used: false,
        }));
        let settings = load(self);
        for unused in self.defaults.drain(outer..).filter(|default| !default.is_used) {
            self.faults.push(unused.of_nothing());
        }
        settings
    }

    /// Loads one value. `K` is inferred.
    pub fn value<T: Value<K>, K>(&mut self, variable: Variable) -> Option<T> {
        // Compiled for every type, so what does not depend on the type stands elsewhere.
        let asked = self.ask(variable, T::form())?;
        let Some(found) = &asked.found else {
            let absent = T::absent();
            self.leave_unset(asked, absent.is_some());
            return absent;
        };
        let parsed = T::parse(&found.text);
        let is_accepted = self.judge(asked, parsed.as_ref().err());
        parsed.ok().filter(|_| is_accepted)
    }

    /// Declares the variable and looks for its text; `None` when nothing is loaded, or what was found is no text.
    fn ask(&mut self, variable: Variable, form: Form) -> Option<Asked> {
        let variable = variable.placed(&self.prefix, form, self.only_with.as_deref());
        let (variable, has_secret_default) = self.with_fit_default(variable);
        let is_new = self.declare(&variable);
        let environment = self.environment.as_ref()?;
        let found = match environment.find(&variable) {
            Ok(found) => found.or_else(|| default_of(&variable)),
            Err(faults) => {
                self.faults.extend(faults);
                self.note(is_new, variable, None, Source::NotSet);
                return None;
            }
        };
        Some(Asked { variable, is_new, has_secret_default, found })
    }

    /// Nothing was found, and that is a fault unless the type has a value for it.
    fn leave_unset(&mut self, asked: Asked, may_be_unset: bool) {
        let Asked { variable, is_new, has_secret_default, .. } = asked;
        if !may_be_unset && !has_secret_default {
            self.faults.push(missing(&variable));
        }
        self.note(is_new, variable, None, Source::NotSet);
    }

    /// Whether the text that was found may count, with what its parser says of it.
    fn judge(&mut self, asked: Asked, problem: Option<&String>) -> bool {
        let Asked { variable, is_new, found: Some(found), .. } = asked else { return false };
        self.remember_secrets(&variable, &found);
        let is_strong = self.is_strong(&variable, &found);
        if problem.is_none() && found.text.trim() != found.text.as_str() {
            self.warnings.push(Warning {
                code: "white_space",
                what: format!("`{}` begins or ends with white space, which is part of the value", found.name),
                at: found.source.place(&found.name),
                fix: String::from("remove it, unless it is meant"),
            });
        }
        if let Some(problem) = problem {
            self.faults.push(invalid(&variable, &found, problem));
        }
        let is_accepted = is_strong && problem.is_none();
        let shown = if !is_accepted {
            String::from("<not valid>")
        } else if found.is_of_file() {
            REDACTED.to_owned()
        } else {
            shown(&variable, &found.text)
        };
        self.note(is_new, variable, Some(shown), found.source);
        is_accepted
    }

    /// Judges a value by a function of the application; `name` is as in [`value`](Self::value).
    pub fn checked<T, E: fmt::Display>(
        &mut self,
        name: &str,
        value: Option<T>,
        check: impl FnOnce(&T) -> Result<(), E>,
    ) -> Option<T> {
        let value = value?;
        match check(&value) {
            Ok(()) => Some(value),
            Err(problem) => {
                let name = format!("{}{name}", self.prefix);
                self.refuse(&name, &format!("is not valid: {problem}"));
                None
            }
        }
    }

    /// Judges a whole struct by a function of the application.
    pub fn checked_all<S>(&mut self, settings: S, check: impl FnOnce(&S, &mut Problems)) -> Option<S> {
        let mut problems = Problems::default();
        check(&settings, &mut problems);
        let problems = problems.into_pairs();
        for (name, problem) in &problems {
            let name = format!("{}{name}", self.prefix);
            self.refuse(&name, problem);
        }
        problems.is_empty().then_some(settings)
    }

    /// Everything that is to be said, once all structs are loaded. `own_prefixes` are those that only this
    /// application's variables have.
    pub fn finish(self, own_prefixes: &[&str]) -> Report {
        let Self { environment, sections, schema, entries, mut warnings, faults, .. } = self;
        let clashes = clashes(&schema);
        if let Some(environment) = &environment {
            let prefixes: Vec<&str> =
                own_prefixes.iter().copied().chain(sections.iter().map(String::as_str)).collect();
            warnings.extend(suggestion::unknown_variables(environment, &schema, own_prefixes, &prefixes));
        }
        // A struct that is loaded twice finds its faults twice.
        let mut distinct: Vec<Fault> = Vec::new();
        for fault in faults.iter().chain(clashes.iter()) {
            if !distinct.contains(fault) {
                distinct.push(fault.clone());
            }
        }
        let mut said: Vec<Warning> = Vec::new();
        for warning in warnings {
            if !said.contains(&warning) {
                said.push(warning);
            }
        }
        Report::new(entries, said, distinct.into_iter().collect())
    }

    /// The default that the outermost of the structs around has for the variable.
    fn given_default(&mut self, variable: &Variable) -> Option<String> {
        let mut text = None;
        for default in self.defaults.iter_mut().filter(|default| default.name == variable.name()) {
            default.is_used = true;
            text.get_or_insert_with(|| default.text.clone());
        }
        text
    }

    /// The variable with its default, or without one that is a secret: nothing that shows the variable is to show that.
    fn with_fit_default(&mut self, variable: Variable) -> (Variable, bool) {
        let variable = match self.given_default(&variable) {
            Some(text) => variable.default(text),
            None => variable,
        };
        let is_secret =
            variable.default_text().is_some_and(|text| variable.form().secret || carries_credentials(text));
        if !is_secret {
            return (variable, false);
        }
        self.faults.push(secret_default(&variable));
        (variable.without_default(), true)
    }

    /// Loads a section that counts only when one of its variables is set.
    pub(super) fn load_if_mentioned<S: Settings>(&mut self) -> Option<Option<S>> {
        let mut declaring = Self { prefix: self.prefix.clone(), ..Self::declaring() };
        let _ = declaring.load::<S>();
        let only_with = if self.prefix.is_empty() {
            let names: Vec<&str> = declaring.schema.variables().map(Variable::name).collect();
            names.join(", ")
        } else {
            format!("{}…", self.prefix)
        };
        let is_mentioned = self.environment.as_ref().is_none_or(|environment| {
            declaring.schema.variables().any(|variable| environment.mentions(variable))
        });
        let outer = self.only_with.replace(only_with);
        let settings = if is_mentioned { S::load(self).map(Some) } else { Some(None) };
        if !is_mentioned {
            let environment = self.environment.take();
            // Without an environment everything is declared, and nothing is loaded.
            let first_new = self.schema.variables().len();
            let _ = S::load(self);
            self.environment = environment;
            let new: Vec<Variable> = self.schema.variables().skip(first_new).cloned().collect();
            for variable in new {
                self.note(true, variable, None, Source::NotSet);
            }
        }
        self.only_with = outer;
        settings
    }

    /// Keeps what must not stand in a report, should the application's own words quote it.
    fn remember_secrets(&mut self, variable: &Variable, found: &Found) {
        let text = found.text.as_str();
        let mut remember = |text: &str| self.secrets.push(Zeroizing::new(text.to_owned()));
        if variable.form().secret {
            remember(text);
            if variable.form().list {
                items(text).for_each(remember);
            }
        } else if found.is_of_file() || carries_credentials(text) {
            remember(text);
            if let Ok(url) = text.parse::<Url>() {
                remember(url.as_str());
                url.password().into_iter().for_each(remember);
            }
        }
    }

    /// Whether the variable is declared for the first time.
    fn declare(&mut self, variable: &Variable) -> bool {
        let Some(first) = self.schema.variables().find(|known| known.name() == variable.name()) else {
            self.schema.push(variable.clone());
            return true;
        };
        if first.form() != variable.form() || first.default_text() != variable.default_text() {
            self.faults.push(Fault {
                area: Area::Settings,
                code: "declared_twice",
                what: format!("`{}` is declared twice, with different types or defaults", variable.name()),
                at: format!("`{}` in the program's settings", variable.name()),
                fix: String::from(
                    "declare it once, rename one of the fields, or write the same `defaults(…)` at both sections",
                ),
            });
        }
        false
    }

    fn note(&mut self, is_new: bool, variable: Variable, value: Option<String>, source: Source) {
        if is_new {
            self.entries.push(Entry { variable, value, source });
        }
    }

    /// Judges the text itself: its length and, of a secret, whether anybody could guess it.
    fn is_strong(&mut self, variable: &Variable, found: &Found) -> bool {
        let form = variable.form();
        let parts: Vec<&str> = if form.list { items(&found.text).collect() } else { vec![&found.text] };
        let weak = parts.iter().find_map(|part| if form.secret { weakness(part) } else { None });
        let bytes_min = variable.bytes_min().unwrap_or(0);
        let is_short = parts.iter().any(|part| part.len() < bytes_min);
        let mut refuse = |code, problem: &str| {
            self.faults.push(Fault {
                area: Area::Settings,
                code,
                what: format!("`{}` {problem}", found.name),
                at: found.source.place(&found.name),
                fix: variable.advice(),
            });
        };
        if let Some(weak) = weak {
            refuse("weak_secret", weak);
        } else if is_short {
            refuse("too_short", &format!("is too short: it must have at least {bytes_min} bytes"));
        }
        weak.is_none() && !is_short
    }

    /// Adds a fault that a check found, and marks the variable's entry.
    fn refuse(&mut self, name: &str, problem: &str) {
        let entry = self.entries.iter_mut().find(|entry| entry.variable.name() == name);
        let (place, advice) = match entry {
            Some(entry) => {
                if entry.value.is_some() {
                    entry.value = Some(String::from("<not valid>"));
                }
                (entry.source.place(name), entry.variable.advice())
            }
            None => (format!("environment variable {name}"), String::new()),
        };
        let problem = printable(&without_secrets(problem, &self.secrets));
        self.faults.push(Fault {
            area: Area::Settings,
            code: "check",
            what: format!("`{name}` {problem}"),
            at: place,
            fix: advice,
        });
    }
}

fn default_of(variable: &Variable) -> Option<Found> {
    let text = variable.default_text()?;
    Some(Found {
        text: Zeroizing::new(text.to_owned()),
        name: variable.name().to_owned(),
        source: Source::Default,
    })
}

fn missing(variable: &Variable) -> Fault {
    let name = variable.name();
    let others: Vec<&str> = variable.names().skip(1).collect();
    let others = if others.is_empty() { String::new() } else { format!(" or {}", others.join(" or ")) };
    let reason = match variable.only_with() {
        Some(section) => format!("; it is required because other variables of {section} are set"),
        None => String::new(),
    };
    Fault {
        area: Area::Settings,
        code: "missing",
        what: format!("`{name}` is not set{reason}"),
        at: format!("environment variable {name}{others}, or {}", Variable::twin(name)),
        fix: variable.advice(),
    }
}

/// The text is quoted, and what its parser says is passed on, only where neither can be a secret.
fn invalid(variable: &Variable, found: &Found, problem: &str) -> Fault {
    let form = variable.form();
    let text = found.text.as_str();
    let may_be_shown =
        !form.secret && !found.is_of_file() && !carries_credentials(text) && !text.contains('@');
    let problem = shortened(&printable(problem), 300).into_owned();
    let reading = if form.secret || !(may_be_shown || form.url) {
        format!("it cannot be read as {}; its content is not shown", form.type_name)
    } else if form.list {
        problem
    } else if form.url {
        // What the parser of a URL says never quotes the URL.
        format!("it {problem}")
    } else {
        format!("`{}` {problem}", shortened(&printable(text), 80))
    };
    let mut what = format!("`{}` is not valid: {reading}", found.name);
    if text.trim() != text {
        what.push_str("; it begins or ends with white space");
    }
    if is_service_link(&found.name, text) {
        what.push_str("; a container platform sets it for a service of that name");
    }
    Fault {
        area: Area::Settings,
        code: "invalid",
        what,
        at: found.source.place(&found.name),
        fix: variable.advice(),
    }
}

fn secret_default(variable: &Variable) -> Fault {
    Fault {
        area: Area::Settings,
        code: "secret_default",
        what: format!("`{}` is secret and has a default in the program", variable.name()),
        at: format!("`{}` in the program's settings", variable.name()),
        fix: String::from("remove the default: whoever reads the program reads it"),
    }
}

/// Names that mean two things: of two variables, or of one variable and the file twin of another.
fn clashes(schema: &Schema) -> Faults {
    let mut faults = Faults::default();
    let all: Vec<&Variable> = schema.variables().collect();
    for (index, variable) in all.iter().enumerate() {
        for other in all.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, other)| other) {
            for name in variable.names() {
                let is_shared = other.names().any(|own| own == name) && variable.name() < other.name();
                let is_twin = other.names().any(|own| Variable::twin(own) == name);
                if is_shared || is_twin {
                    faults.push(Fault {
                        area: Area::Settings,
                        code: "clash",
                        what: if is_twin {
                            format!("`{name}` is a variable, and also names the file of `{}`", other.name())
                        } else {
                            format!("`{name}` is a name of `{}` and of `{}`", variable.name(), other.name())
                        },
                        at: format!("`{}` in the program's settings", variable.name()),
                        fix: String::from("rename one of the fields"),
                    });
                }
            }
        }
    }
    faults
}

/// The value as it may be seen.
fn shown(variable: &Variable, text: &str) -> String {
    let form = variable.form();
    if form.secret {
        return REDACTED.to_owned();
    }
    if !form.url {
        return printable(&redact_text(text));
    }
    let url =
        |text: &str| text.parse().map_or_else(|_| redact_text(text).into_owned(), |url| redact_url(&url));
    let urls: Vec<String> = if form.list { items(text).map(url).collect() } else { vec![url(text)] };
    printable(&urls.join(","))
}

/// An application's own words without the secrets that they quote.
fn without_secrets(text: &str, secrets: &[Zeroizing<String>]) -> String {
    // A shorter one may be part of any word: replacing it would tell where.
    const REPLACED_MIN: usize = 6;
    let mut words = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let escaped = Zeroizing::new(secret.escape_debug().to_string());
        for quoted in [secret, &escaped] {
            if words.contains(quoted.as_str()) {
                if quoted.len() < REPLACED_MIN {
                    return String::from("is refused; why is not shown, because it would tell a secret");
                }
                words = words.replace(quoted.as_str(), REDACTED);
            }
        }
    }
    words
}
