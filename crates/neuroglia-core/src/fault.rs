//! What is wrong with an application before it runs: faults are gathered and reported all at once.
//!
//! Settings, the container's graph, routes and the schema each add their faults to one list; the host prints
//! the list for people on stderr and as one JSON line on stdout, and exits with 78 before a port is bound.

use std::fmt;

use serde::Serialize;

/// One thing that must be mended before the application can run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Which part of the boot found it.
    pub area: Area,
    /// A stable code, such as `missing`.
    pub code: &'static str,
    /// What is wrong.
    pub what: String,
    /// Where: a variable, a type, a route.
    pub at: String,
    /// What to do about it.
    pub fix: String,
}

/// The part of the boot that found a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// A setting is missing or not valid.
    Settings,
    /// The container's graph does not hold.
    Services,
    /// A route is declared twice or without a policy.
    Routes,
    /// The store's schema is not the expected one.
    Schema,
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Settings => "settings",
            Self::Services => "services",
            Self::Routes => "routes",
            Self::Schema => "schema",
        })
    }
}

/// Every fault that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Adds a fault.
    pub fn push(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Adds the faults of another list.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The faults in the order in which they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }

    /// The list as a result: an error when there is any.
    ///
    /// # Errors
    /// The list itself, when it is not empty.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        Self(faults.into_iter().collect())
    }
}

impl fmt::Display for Faults {
    /// One numbered paragraph a fault: what, where, and what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            writeln!(f, "{:>3}. {}: {}", index + 1, fault.area, fault.what)?;
            if !fault.at.is_empty() {
                writeln!(f, "     at   {}", fault.at)?;
            }
            if !fault.fix.is_empty() {
                writeln!(f, "     do   {}", fault.fix)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
