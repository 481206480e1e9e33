//! Where values come from: a snapshot of variables, and the files that some of them name.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::fault::{Area, Fault, Faults};
use crate::settings::loader::{Loaded, Loader};
use crate::settings::redaction::{printable, shortened};
use crate::settings::section::Settings;
use crate::settings::variable::Variable;

/// The largest file that is read as a value.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// One snapshot of the variables that a process was started with.
///
/// The host takes it from the operating system, a test from a list of pairs; neither looks again later. It has no
/// `Debug`: it holds every secret of the process. A clone is cheap and shares the snapshot.
#[derive(Clone)]
pub struct Environment {
    variables: Arc<BTreeMap<String, Content>>,
    files: Arc<dyn ReadFile>,
}

enum Content {
    Text(Zeroizing<String>),
    NotUnicode,
}

/// What reads the file that a variable names.
trait ReadFile: Fn(&Path) -> io::Result<Vec<u8>> + Send + Sync {}

impl<F: Fn(&Path) -> io::Result<Vec<u8>> + Send + Sync> ReadFile for F {}

impl Environment {
    /// A snapshot of these variables; of a name that stands twice the last counts.
    pub fn from_pairs<K: Into<OsString>, V: Into<OsString>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        // A name that is not Unicode cannot be that of a setting.
        let entry =
            |(name, value): (K, V)| Some((name.into().into_string().ok()?, Content::new(value.into())));
        Self {
            variables: Arc::new(pairs.into_iter().filter_map(entry).collect()),
            files: Arc::new(read_file),
        }
    }

    /// Reads the files that variables name by `read` instead of from the file system.
    #[must_use]
    pub fn with_files(mut self, read: impl Fn(&Path) -> io::Result<Vec<u8>> + Send + Sync + 'static) -> Self {
        self.files = Arc::new(read);
        self
    }

    /// Loads `S`, a tuple of structs for several; `own_prefixes` are those that only this application's variables
    /// have, such as `PIZZERIA_`.
    pub fn load<S: Settings>(&self, own_prefixes: &[&str]) -> Loaded<S> {
        let mut loader = Loader::new(self.clone());
        let settings = loader.load::<S>();
        let mut report = loader.finish(own_prefixes);
        if settings.is_none() && report.faults().is_empty() {
            report.add_fault(Fault {
                area: Area::Settings,
                code: "defect",
                what: String::from("settings were refused without a reason"),
                at: format!("`Settings::load` of `{}`", std::any::type_name::<S>()),
                fix: String::from("return `None` only when a method of the loader did"),
            });
        }
        Loaded { settings: settings.filter(|_| report.faults().is_empty()), report }
    }

    /// The names of all variables that are set, and whether the value looks like an address that a container
    /// platform injects for a service.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, bool)> {
        self.variables.iter().filter(|(_, content)| content.is_set()).map(|(name, content)| {
            let is_link = matches!(content, Content::Text(text) if is_service_link(name, text));
            (name.as_str(), is_link)
        })
    }

    /// Whether any name of a variable, or the file twin of one, is set.
    pub(super) fn mentions(&self, variable: &Variable) -> bool {
        let is_set = |name: &str| match self.variables.get(name) {
            Some(Content::Text(text)) => !text.is_empty() && !is_service_link(name, text),
            Some(Content::NotUnicode) => true,
            None => false,
        };
        variable.names().any(|name| is_set(name) || is_set(&Variable::twin(name)))
    }

    /// The text of a variable, under whichever of its names.
    pub(super) fn find(&self, variable: &Variable) -> Result<Option<Found>, Faults> {
        let mut found = Vec::new();
        let mut faults = Faults::default();
        for name in variable.names() {
            match self.find_name(name, variable) {
                Ok(Some(one)) => found.push(one),
                Ok(None) => {}
                Err(fault) => faults.push(fault),
            }
        }
        if let Some(other) = found.iter().skip(1).find(|other| other.text != found[0].text) {
            faults.push(Fault {
                area: Area::Settings,
                code: "conflict",
                what: format!("`{}` and `{}` differ, and are the same setting", found[0].name, other.name),
                at: format!(
                    "{} and {}",
                    found[0].source.place(&found[0].name),
                    other.source.place(&other.name)
                ),
                fix: format!("set {} only", variable.name()),
            });
        }
        faults.into_result()?;
        Ok(found.into_iter().next())
    }

    fn find_name(&self, name: &str, variable: &Variable) -> Result<Option<Found>, Fault> {
        let twin = Variable::twin(name);
        match (self.text(name, variable)?, self.text(&twin, variable)?) {
            (None, None) => Ok(None),
            (Some(text), None) => Ok(Some(Found {
                text: text.clone(),
                name: name.to_owned(),
                source: Source::Environment { variable: name.to_owned() },
            })),
            (None, Some(path)) => {
                let text = self.text_of_file(path, name, variable)?;
                let source = Source::File { variable: twin, path: printable(path) };
                Ok(Some(Found { text, name: name.to_owned(), source }))
            }
            (Some(_), Some(_)) => Err(Fault {
                area: Area::Settings,
                code: "ambiguous",
                what: format!("`{name}` and `{twin}` are both set"),
                at: format!("environment variables {name} and {twin}"),
                fix: format!("unset {}", if variable.form().secret { name } else { &twin }),
            }),
        }
    }

    fn text(&self, name: &str, variable: &Variable) -> Result<Option<&Zeroizing<String>>, Fault> {
        match self.variables.get(name) {
            Some(Content::Text(text)) if !text.is_empty() => Ok(Some(text)),
            Some(Content::NotUnicode) => Err(Fault {
                area: Area::Settings,
                code: "not_unicode",
                what: format!("`{name}` is not valid UTF-8"),
                at: format!("environment variable {name}"),
                fix: variable.advice(),
            }),
            _ => Ok(None),
        }
    }

    fn text_of_file(&self, path: &str, name: &str, variable: &Variable) -> Result<Zeroizing<String>, Fault> {
        let twin = Variable::twin(name);
        let fault = |code, what: String| Fault {
            area: Area::Settings,
            code,
            what,
            at: if variable.form().secret && !looks_like_a_path(path) {
                format!(
                    "environment variable {twin}; what it holds does not look like a path and is not shown"
                )
            } else {
                format!("file {}, named by {twin}", shortened(&printable(path), 200))
            },
            fix: format!(
                "let {twin} name a readable file of at most {} KiB that holds the value",
                FILE_BYTES_MAX / 1024
            ),
        };
        let bytes = (self.files)(Path::new(path)).map_err(|error| {
            fault("unreadable_file", format!("the file for `{name}` cannot be read: {error}"))
        })?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(fault("unreadable_file", format!("the file for `{name}` is too large")));
        }
        let mut text = String::from_utf8(bytes)
            .map(Zeroizing::new)
            .map_err(|_| fault("not_unicode", format!("the file for `{name}` is not valid UTF-8")))?;
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        if text.is_empty() {
            return Err(fault("missing", format!("the file for `{name}` is empty")));
        }
        Ok(text)
    }
}

impl Content {
    fn new(value: OsString) -> Self {
        value.into_string().map_or(Self::NotUnicode, |text| Self::Text(Zeroizing::new(text)))
    }

    fn is_set(&self) -> bool {
        !matches!(self, Self::Text(text) if text.is_empty())
    }
}

/// One value that was found, not yet read.
pub(super) struct Found {
    pub(super) text: Zeroizing<String>,
    /// The name under which it was found.
    pub(super) name: String,
    pub(super) source: Source,
}

impl Found {
    /// Whether it stood in a file. One that was named by mistake may hold anything, also another's secret, so what
    /// is in a file is never shown.
    pub(super) fn is_of_file(&self) -> bool {
        matches!(self.source, Source::File { .. })
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// A variable of the environment, under this name.
    Environment {
        /// The name under which it was found.
        variable: String,
    },
    /// A file.
    File {
        /// The variable that names the file.
        variable: String,
        /// The file's path.
        path: String,
    },
    /// The program's own default.
    Default,
    /// Nowhere: it is not set and has no default.
    NotSet,
}

impl Source {
    /// The place to look at, in a sentence.
    pub(super) fn place(&self, name: &str) -> String {
        match self {
            Self::Environment { variable } => format!("environment variable {variable}"),
            Self::File { variable, path } => format!("file {path}, named by {variable}"),
            Self::Default => format!("the program's default of {name}"),
            Self::NotSet => format!("environment variable {name}"),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment { variable } => write!(f, "environment {variable}"),
            Self::File { path, .. } => write!(f, "file {path}"),
            Self::Default => f.write_str("default"),
            Self::NotSet => f.write_str("not set"),
        }
    }
}

/// Whether a value is an address as Kubernetes and container links inject them for each service beside this one.
pub(super) fn is_service_link(name: &str, text: &str) -> bool {
    let is_address = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| text.starts_with(scheme));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let after_port = name.rsplit_once("_PORT_").map(|(_, rest)| rest.split('_').next().unwrap_or(rest));
    (name.ends_with("_PORT") && is_address)
        || name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || after_port.is_some_and(is_number)
}

/// Whether a text is rather a path than a secret that was put into the wrong variable.
fn looks_like_a_path(text: &str) -> bool {
    let is_rooted = ["/", "./", "../"].iter().any(|root| text.starts_with(root));
    is_rooted && text.len() <= 255 && !text.contains(['=', '+', '\n'])
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too large from one that fits exactly.
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_neighbouring_services_are_recognised() {
        let links = [
            ("PAYMENT_PORT", "tcp://10.0.0.1:80"),
            ("PAYMENT_SERVICE_HOST", "10.0.0.1"),
            ("PAYMENT_SERVICE_PORT_HTTP", "80"),
            ("PAYMENT_PORT_80_TCP_ADDR", "10.0.0.1"),
        ];
        for (name, text) in links {
            assert!(is_service_link(name, text), "{name}");
        }
        for (name, text) in [("PAYMENT_PORT", "80"), ("PAYMENT_API_KEY", "k"), ("PAYMENT_PORT_NAME", "http")]
        {
            assert!(!is_service_link(name, text), "{name}");
        }
    }

    #[test]
    fn a_secret_in_the_wrong_variable_is_not_taken_for_a_path() {
        assert!(looks_like_a_path("/run/secrets/jwt"));
        assert!(!looks_like_a_path("q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ"));
        assert!(!looks_like_a_path("/83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ="));
    }
}
