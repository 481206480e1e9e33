//! One declared variable, and all those of an application.

use std::borrow::Cow;

use serde::Serialize;

use crate::settings::loader::Loader;
use crate::settings::section::Settings;
use crate::settings::template;
use crate::settings::value::Form;

/// A variable as it is declared: its names, its help, its default.
///
/// ```
/// use neuroglia_core::settings::Variable;
///
/// let port = Variable::new("PORT").alias("SERVER_PORT").default("8000").help("The port the HTTP server binds.");
/// assert_eq!(port.name(), "PORT");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Variable {
    name: Cow<'static, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<Cow<'static, str>>,
    #[serde(flatten)]
    form: Form,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<Cow<'static, str>>,
    #[serde(skip)]
    example: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_min: Option<usize>,
    /// The section that must be in use before this variable is required.
    #[serde(skip_serializing_if = "Option::is_none")]
    only_with: Option<Cow<'static, str>>,
    help: Cow<'static, str>,
}

impl Variable {
    /// A required variable; its name is still without the prefix of the section it stands in.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            aliases: Vec::new(),
            form: Form::new("text", "text"),
            default: None,
            example: None,
            bytes_min: None,
            only_with: None,
            help: Cow::Borrowed(""),
        }
    }

    /// Another name of the same variable, in full: sections do not prefix it.
    #[must_use]
    pub fn alias(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.aliases.push(name.into());
        self
    }

    /// What counts when the variable is not set, written as an operator would.
    #[must_use]
    pub fn default(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.default = Some(text.into());
        self
    }

    pub(super) fn without_default(self) -> Self {
        Self { default: None, ..self }
    }

    /// A value to show in reports and templates.
    #[must_use]
    pub fn example(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.example = Some(text.into());
        self
    }

    /// The fewest bytes that the value may have.
    #[must_use]
    pub fn min_bytes(mut self, bytes: usize) -> Self {
        self.bytes_min = Some(bytes);
        self
    }

    /// What the operator should know, in any number of lines.
    #[must_use]
    pub fn help(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.help = text.into();
        self
    }

    pub(super) fn placed(mut self, prefix: &str, form: Form, only_with: Option<&str>) -> Self {
        if !prefix.is_empty() {
            self.name.to_mut().insert_str(0, prefix);
        }
        self.form = form;
        self.only_with = only_with.map(|section| Cow::Owned(section.to_owned()));
        self
    }

    /// The name, in full once the variable is part of a [`Schema`] or a report.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name, then the other names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name()).chain(self.aliases.iter().map(AsRef::as_ref))
    }

    /// What its value looks like, and whether it is secret.
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// What counts when it is not set.
    pub fn default_text(&self) -> Option<&str> {
        self.default.as_deref()
    }

    /// The fewest bytes that the value may have.
    pub fn bytes_min(&self) -> Option<usize> {
        self.bytes_min
    }

    /// The section that must be in use before this variable is required.
    pub fn only_with(&self) -> Option<&str> {
        self.only_with.as_deref()
    }

    /// Whether the application does not start without it.
    pub fn is_required(&self) -> bool {
        self.default.is_none() && !self.form.optional && self.only_with.is_none()
    }

    /// All lines of its help.
    pub fn help_text(&self) -> &str {
        &self.help
    }

    /// The first paragraph of its help, on one line.
    pub fn summary(&self) -> String {
        let paragraph = self.help.lines().map(str::trim).take_while(|line| !line.is_empty());
        paragraph.collect::<Vec<_>>().join(" ")
    }

    /// A value to show: the declared example, the default, or one that fits the type.
    pub fn example_text(&self) -> &str {
        let declared = self.example.as_deref().or(self.default.as_deref());
        declared.filter(|text| !text.is_empty()).unwrap_or(&self.form.example)
    }

    /// The name of the variable that names a file with the value.
    pub(super) fn twin(name: &str) -> String {
        format!("{name}_FILE")
    }

    /// A place for the file of a secret, as container platforms mount it.
    pub(super) fn secret_path(&self) -> String {
        format!("/run/secrets/{}", self.name.to_ascii_lowercase())
    }

    /// What an operator should write, as advice.
    pub(super) fn advice(&self) -> String {
        let name = &self.name;
        if self.form.secret {
            let bytes = self.bytes_min.unwrap_or(32);
            let path = self.secret_path();
            return format!(
                "put a secret that nobody can guess (`openssl rand -base64 {bytes}`) into a file and set {name}_FILE={path}"
            );
        }
        match &self.default {
            Some(default) if !default.is_empty() => {
                let example = self.example_text();
                format!("set {name}={example}, or leave it unset for the default {default}")
            }
            _ => format!("set {name}={}", self.example_text()),
        }
    }
}

/// Every variable of one or more settings structs, in the order of declaration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Schema(Vec<Variable>);

impl Schema {
    /// What `S` asks for; a tuple of structs for several.
    pub fn of<S: Settings>() -> Self {
        let mut loader = Loader::declaring();
        // Nothing is loaded: a loader that only takes declarations has no values to give.
        let _ = loader.load::<S>();
        loader.into_schema()
    }

    pub(super) fn push(&mut self, variable: Variable) {
        self.0.push(variable);
    }

    /// The variables.
    pub fn variables(&self) -> std::slice::Iter<'_, Variable> {
        self.0.iter()
    }

    /// An `.env.example`: each variable with its help, its type, and whether it must be set.
    pub fn template(&self) -> String {
        template::render(self)
    }
}
