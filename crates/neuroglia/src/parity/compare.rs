//! In what deploys differ, and whether it matters.

use std::fmt;

use neuroglia_core::settings::{Deploy, Setting};
use serde::Serialize;
use url::Url;

/// In what deploys differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The deploys, the one that the others are compared with first.
    pub deploys: Vec<String>,
    /// Their differences: first those that matter.
    pub differences: Vec<Difference>,
}

/// One thing in which deploys differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Whether an application may behave otherwise for it.
    pub matters: bool,
    /// A stable code, such as `parity.kind`.
    pub code: &'static str,
    /// The variable.
    pub at: String,
    /// How it is in each deploy, in their order.
    pub values: Vec<String>,
    /// Why it matters, or why it does not.
    pub why: String,
}

impl Comparison {
    pub(super) fn of(deploys: &[(String, Deploy)], accepted: &[(&str, &str)]) -> Self {
        let names = deploys.iter().map(|(name, _)| name.clone()).collect();
        let first = deploys.first().into_iter().flat_map(|(_, deploy)| deploy.settings());
        let mut differences: Vec<_> =
            first.flat_map(|setting| differences(setting.name(), deploys)).collect();
        // A difference may be meant; a secret beside the code never is.
        for difference in differences.iter_mut().filter(|difference| difference.code != SECRET) {
            if let Some((_, reason)) = accepted.iter().find(|(name, _)| *name == difference.at) {
                difference.matters = false;
                difference.why = format!("accepted: {reason}");
            }
        }
        differences.sort_by_key(|difference| !difference.matters);
        Self { deploys: names, differences }
    }

    /// Whether something matters.
    pub fn matters(&self) -> bool {
        self.differences.iter().any(|difference| difference.matters)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.differences.iter().filter(|difference| difference.matters).count();
        let heading = match count {
            0 => "nothing that matters differs".to_owned(),
            1 => "one thing differs that matters".to_owned(),
            count => format!("{count} things differ that matter"),
        };
        writeln!(f, "{}: {heading}", self.deploys.join(", "))?;
        for difference in &self.differences {
            let mark = if difference.matters { "✗" } else { "·" };
            writeln!(f, "\n{mark} {} ({})", difference.at, difference.code)?;
            for (deploy, value) in self.deploys.iter().zip(&difference.values) {
                writeln!(f, "    {deploy}: {value}")?;
            }
            writeln!(f, "    {}", difference.why)?;
        }
        Ok(())
    }
}

/// The code of a secret in a deploy.
const SECRET: &str = "parity.secret";

const NOT_SET: &str = "not set";
pub(super) const UNKNOWN: &str = "in a file that is not here";

/// In what deploys differ as to one variable.
fn differences(name: &str, deploys: &[(String, Deploy)]) -> Vec<Difference> {
    let row = |value: fn(&Deploy, &Setting) -> String| -> Vec<String> {
        let of = |(_, deploy): &(String, Deploy)| deploy.setting(name).map(|setting| value(deploy, setting));
        deploys.iter().filter_map(of).collect()
    };
    let difference = |matters, code, values, why: &str| Difference {
        matters,
        code,
        at: name.to_owned(),
        values,
        why: why.to_owned(),
    };
    let is =
        |what: fn(&Setting) -> bool| deploys.iter().filter_map(|(_, deploy)| deploy.setting(name)).any(what);
    let mut found = Vec::new();
    let secrets = row(|_, setting| if setting.holds_secret() { "here" } else { "not here" }.to_owned());
    if is(Setting::holds_secret) {
        let why = "a deploy is kept with the code, and is no place for a secret: name a file by …_FILE";
        found.push(difference(true, SECRET, secrets, why));
    }
    if is(attaches) {
        let (kinds, versions) = (row(kind), row(|deploy, setting| version(deploy, setting).1));
        if kinds.iter().any(|kind| kind == UNKNOWN) {
            let why = "nobody can tell what is attached; say it by …_VERSION, such as `postgres 15`";
            found.push(difference(true, "parity.unknown", kinds, why));
        } else if differ(&kinds) {
            found.push(difference(true, "parity.kind", kinds, "another kind of server keeps other promises"));
        } else if differ(&versions) {
            let why = "another version of a server may behave otherwise";
            found.push(difference(true, "parity.version", versions, why));
        }
    } else if !is(|setting| setting.variable().form().secret) {
        let values = row(|_, setting| match setting.text() {
            Some(text) => text.to_owned(),
            None if setting.is_set() => UNKNOWN.to_owned(),
            None => NOT_SET.to_owned(),
        });
        if differ(&values) {
            found.push(difference(
                false,
                "parity.value",
                values,
                "this is what deploys are there to differ in",
            ));
        }
    }
    found
}

/// The one variable that attaches a resource and is no URL: the host of a mail server.
const MAIL_HOST: &str = "EMAIL_SMTP_HOST";

/// Whether it is there to attach a resource.
fn attaches(setting: &Setting) -> bool {
    setting.is_url() || setting.name() == MAIL_HOST
}

/// The URL of what it attaches.
pub(crate) fn attached(setting: &Setting) -> Option<Url> {
    if setting.name() == MAIL_HOST {
        return format!("smtp://{}", setting.text()?).parse().ok();
    }
    setting.url()
}

/// Where that is: host and port, where it has them; nothing else of its URL.
pub(crate) fn address(url: &Url) -> Option<String> {
    // What would be a host is a part of the file's path.
    let host = url.host_str().filter(|host| !host.is_empty() && url.scheme() != "sqlite")?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

/// Of what kind the resource is: URLs of one engine are of one kind, encrypted or not.
pub(crate) fn kind(deploy: &Deploy, setting: &Setting) -> String {
    let said = version(deploy, setting).0;
    let Some(url) = attached(setting) else {
        return if setting.is_set() { said } else { NOT_SET.to_owned() };
    };
    let kind = match url.scheme() {
        "postgresql" => "postgres",
        "mongodb+srv" => "mongodb",
        "rediss" => "redis",
        "amqps" => "amqp",
        "tls" => "nats",
        "smtps" => "smtp",
        "https" => "http",
        other => other,
    };
    kind.to_owned()
}

/// What the deploy says of the server, as its kind and its version.
fn version(deploy: &Deploy, setting: &Setting) -> (String, String) {
    let Some(said) = deploy.version(setting) else { return (UNKNOWN.to_owned(), "not said".to_owned()) };
    match said.split_once(' ') {
        Some((kind, version)) => (kind.to_owned(), version.to_owned()),
        None => (UNKNOWN.to_owned(), said),
    }
}

fn differ(values: &[String]) -> bool {
    values.windows(2).any(|pair| pair[0] != pair[1])
}
