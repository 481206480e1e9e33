//! What a figure has to be read with: the date, the processor, the compiler.
//!
//! Nothing that tells one machine from another of its kind: no host name, no path.

use std::process::Command;
use std::thread;

use crate::workspace::{Result, read};

/// The machine and the tools of a run.
pub(crate) struct Machine {
    date: String,
    processor: String,
    cores: usize,
    compiler: String,
}

impl Machine {
    /// Asks the system.
    ///
    /// # Errors
    /// When `date` or `rustc` does not answer.
    pub(crate) fn describe() -> Result<Self> {
        let line = |program: &str, argument: &str| {
            read(Command::new(program).arg(argument)).map(|text| text.trim().to_owned())
        };
        let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Ok(Self {
            date: line("date", "+%Y-%m-%d")?,
            processor: model_of(&processors).unwrap_or("an unknown processor").to_owned(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            compiler: line("rustc", "--version")?,
        })
    }

    /// The day of the run.
    pub(crate) fn date(&self) -> &str {
        &self.date
    }

    /// One sentence for the head of a report.
    pub(crate) fn summary(&self) -> String {
        let Self { date, processor, cores, compiler } = self;
        format!("{date}, {processor}, {cores} cores, {compiler}")
    }
}

/// The name of the first processor in `/proc/cpuinfo`.
fn model_of(processors: &str) -> Option<&str> {
    let line = processors.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim())
}

#[cfg(test)]
impl Machine {
    /// Some machine on a day.
    pub(crate) fn on(date: &str) -> Self {
        let text = |text: &str| text.to_owned();
        Self { date: text(date), processor: text("a processor"), cores: 2, compiler: text("rustc") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named_as_the_system_names_it() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 2.0GHz\n\nprocessor\t: 1\nmodel name\t: Other\n";
        assert_eq!(model_of(text), Some("Some CPU @ 2.0GHz"));
        assert_eq!(model_of("processor\t: 0\n"), None);
    }
}
