//! What weakens a deploy.

use neuroglia_core::settings::{Deploy, Setting, Warning};
use url::{Host, Url};

use super::Rule;
use super::compare::{UNKNOWN, attached, kind};

/// The framework's own rules.
pub(super) const ALL: [Rule; 5] = [forgotten, alone, in_the_open, known_to_all, one_face];

/// What is kept in a process ends with it.
fn forgotten(deploy: &Deploy) -> Vec<Warning> {
    let is_forgotten = |setting: &&Setting| scheme(setting).as_deref() == Some("memory");
    let store = deploy.setting("DATABASE_URL").filter(is_forgotten);
    store
        .map(|setting| Warning {
            code: "parity.forgotten",
            what: format!("what is stored by `{}` ends with the process", setting.name()),
            at: setting.name().to_owned(),
            fix: "attach a database, unless this is a test".to_owned(),
        })
        .into_iter()
        .collect()
}

/// Several processes do not share what each keeps for itself.
fn alone(deploy: &Deploy) -> Vec<Warning> {
    let replicas = replicas(deploy);
    if replicas < 2 {
        return Vec::new();
    }
    let alone = deploy.settings().filter_map(|setting| {
        let why = match scheme(setting)?.as_str() {
            "memory" => "each process keeps its own",
            "sqlite" => "a file is shared on one machine only",
            _ => return None,
        };
        Some(Warning {
            code: "parity.alone",
            what: format!("`{}` is not shared by {replicas} processes: {why}", setting.name()),
            at: format!("{} and REPLICAS", setting.name()),
            fix: "attach a server that all of them reach".to_owned(),
        })
    });
    alone.collect()
}

/// What is said between machines can be read by others, unless it is encrypted.
fn in_the_open(deploy: &Deploy) -> Vec<Warning> {
    let open = deploy.settings().filter_map(|setting| {
        let url = attached(setting)?;
        let fix = protection(&url)?;
        // A host alone cannot say it.
        let place = if setting.is_url() { "" } else { "a URL with " };
        (!is_local(&url)).then(|| Warning {
            code: "parity.plain_text",
            what: format!("`{}` goes over the network unencrypted", setting.name()),
            at: setting.name().to_owned(),
            fix: format!("use {place}{fix}, unless the network itself is trusted"),
        })
    });
    open.collect()
}

/// A password that everybody knows is none.
fn known_to_all(deploy: &Deploy) -> Vec<Warning> {
    let known = deploy.settings().filter(|setting| setting.has_known_credentials());
    let warning = |setting: &Setting| Warning {
        code: "parity.default_credentials",
        what: format!("the password in `{}` is well known or the user's name", setting.name()),
        at: setting.name().to_owned(),
        fix: "give the account a password of its own".to_owned(),
    };
    known.map(warning).collect()
}

/// What divides requests among several processes hides who asks, unless it is believed.
fn one_face(deploy: &Deploy) -> Vec<Warning> {
    let believes_nobody = deploy.text("HTTP_TRUSTED_PROXIES").is_some_and(|text| text.trim().is_empty());
    if replicas(deploy) < 2 || !believes_nobody {
        return Vec::new();
    }
    vec![Warning {
        code: "parity.one_face",
        what: "a gateway before several processes is taken for every client: they share one quota, and https is not seen"
            .to_owned(),
        at: "HTTP_TRUSTED_PROXIES and REPLICAS".to_owned(),
        fix: "set it to the gateway's network, such as `10.0.0.0/8`, unless clients connect to the processes themselves"
            .to_owned(),
    }]
}

/// What runs on another kind of server elsewhere may behave otherwise there.
pub(super) fn another_kind(deploy: &Deploy, name: &str, expected: &str) -> Option<Warning> {
    let attached = kind(deploy, deploy.setting(name)?);
    (attached != expected && attached != UNKNOWN).then(|| Warning {
        code: "parity.another_kind",
        what: format!("`{name}` is {attached} here and {expected} where it counts"),
        at: name.to_owned(),
        fix: format!("attach {expected} here too: `neuroglia dev --with` starts one for development"),
    })
}

fn replicas(deploy: &Deploy) -> u32 {
    deploy.text("REPLICAS").and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn scheme(setting: &Setting) -> Option<String> {
    setting.url().map(|url| url.scheme().to_owned())
}

/// What would encrypt the way to this resource; none when it is encrypted, or nothing is sent.
fn protection(url: &Url) -> Option<&'static str> {
    let query =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    match url.scheme() {
        "redis" => Some("rediss://"),
        "amqp" => Some("amqps://"),
        "nats" => Some("tls://, or a server that asks for TLS"),
        "http" => Some("https://"),
        // With a password, encryption is required unless something else is said.
        "smtp" => match query("tls").as_deref() {
            Some("required") => None,
            None if url.password().is_some() => None,
            _ => Some("smtps:// or ?tls=required"),
        },
        "mongodb" => {
            let is_encrypted = ["tls", "ssl"].iter().any(|name| query(name).as_deref() == Some("true"));
            (!is_encrypted).then_some("?tls=true")
        }
        "postgres" | "postgresql" => {
            let is_encrypted =
                matches!(query("sslmode").as_deref(), Some("require" | "verify-ca" | "verify-full"));
            (!is_encrypted).then_some("?sslmode=verify-full")
        }
        _ => None,
    }
}

/// Whether it is on this machine.
fn is_local(url: &Url) -> bool {
    match url.host() {
        None => true,
        // Schemes that the URL standard does not know have their addresses as names.
        Some(Host::Domain(name)) => {
            let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
            name == "localhost" || name.is_empty() || address.is_ok_and(|address| address.is_loopback())
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
    }
}
