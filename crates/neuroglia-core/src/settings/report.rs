//! What there is to say about the settings of a process: the effective values, the warnings, the faults.

use std::fmt;

use serde::Serialize;

use crate::fault::{Fault, Faults};
use crate::settings::source::Source;
use crate::settings::table;
use crate::settings::variable::Variable;

/// The outcome of loading, without any secret in it; it can be printed and sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    #[serde(rename = "variables")]
    entries: Vec<Entry>,
    warnings: Vec<Warning>,
    faults: Faults,
}

impl Report {
    pub(super) fn new(entries: Vec<Entry>, warnings: Vec<Warning>, faults: Faults) -> Self {
        Self { entries, warnings, faults }
    }

    pub(super) fn add_fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn into_faults(self) -> Faults {
        self.faults
    }

    /// Every declared variable with its effective value, in the order of declaration.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What an operator should look at; the application runs nevertheless.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Adds what somebody else has found.
    pub fn warn(&mut self, warnings: impl IntoIterator<Item = Warning>) {
        self.warnings.extend(warnings);
    }

    /// What must be mended before the application runs.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The effective values as an aligned table: name, value, source, help. The whole report as JSON is what
    /// serialising it gives.
    pub fn table(&self) -> String {
        table::render(&self.entries)
    }
}

/// A variable with its effective value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The variable as it is declared.
    #[serde(flatten)]
    pub variable: Variable,
    /// The text of the value as it may be seen; `None` when there is none.
    pub value: Option<String>,
    /// Where it came from.
    pub source: Source,
}

/// Something that is probably a mistake, but does not keep the application from running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// A stable code, such as `unknown`.
    pub code: &'static str,
    /// What looks wrong.
    pub what: String,
    /// Where.
    pub at: String,
    /// What to do about it.
    pub fix: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.fix)
    }
}
