//! What an audit finds.

use std::fmt;

use serde::Serialize;

/// One of the twelve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Factor {
    Codebase,
    Dependencies,
    Config,
    BackingServices,
    BuildReleaseRun,
    Processes,
    PortBinding,
    Concurrency,
    Disposability,
    Parity,
    Logs,
    AdminProcesses,
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Codebase => "I. Codebase",
            Self::Dependencies => "II. Dependencies",
            Self::Config => "III. Config",
            Self::BackingServices => "IV. Backing services",
            Self::BuildReleaseRun => "V. Build, release, run",
            Self::Processes => "VI. Processes",
            Self::PortBinding => "VII. Port binding",
            Self::Concurrency => "VIII. Concurrency",
            Self::Disposability => "IX. Disposability",
            Self::Parity => "X. Dev/prod parity",
            Self::Logs => "XI. Logs",
            Self::AdminProcesses => "XII. Admin processes",
        })
    }
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Weight {
    /// It breaks the factor.
    Fault,
    /// Somebody may have a reason.
    Note,
}

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) factor: Factor,
    pub(super) weight: Weight,
    /// The file, the deploy or the variable.
    pub(super) at: String,
    pub(super) what: String,
    pub(super) fix: String,
}

impl Factor {
    pub(super) fn fault(
        self,
        at: impl Into<String>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        Finding { factor: self, weight: Weight::Fault, at: at.into(), what: what.into(), fix: fix.into() }
    }

    pub(super) fn note(
        self,
        at: impl Into<String>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        Finding { weight: Weight::Note, ..self.fault(at, what, fix) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { factor, at, what, fix, weight } = self;
        let note = if *weight == Weight::Note { " (note)" } else { "" };
        write!(f, "{factor}{note}\n  at  {at}\n      {what}\n  do  {fix}")
    }
}
