//! From a URL to a server.

use std::fmt;
use std::path::PathBuf;

use neuroglia::settings::Secret;
use percent_encoding::percent_decode_str;
use redis::RedisConnectionInfo;
use tokio_rustls::rustls::pki_types::ServerName;
use url::{Host, Url};

const PORT_DEFAULT: u16 = 6379;

/// Whether the URL names a server, without touching it.
///
/// `redis://user:password@host:6379/0`, where the user, the password, the port and the number of the database may be
/// left out; `rediss://` is the same over TLS. Certificates are verified by the authorities that browsers know, or by
/// those in the file that the parameter `cacertfile` names.
///
/// # Errors
/// What is wrong with it, as a fragment for the report of settings; it shows neither the password nor any value.
pub fn check_url(url: &Url) -> Result<(), String> {
    Location::of(url).map(|_| ())
}

/// A server, and how to get there.
#[derive(Clone)]
pub(super) struct Location {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Option<Trust>,
    user: Option<String>,
    password: Option<Secret<String>>,
    database: u16,
}

/// Who a server must be.
#[derive(Clone)]
pub(super) struct Trust {
    pub(super) server: ServerName<'static>,
    /// The authorities that are believed, instead of those that everybody knows.
    pub(super) authorities: Option<PathBuf>,
}

impl Location {
    pub(super) fn of(url: &Url) -> Result<Self, String> {
        let is_encrypted = match url.scheme() {
            "redis" => false,
            "rediss" => true,
            scheme => return Err(format!("the scheme is {scheme}, not redis or rediss")),
        };
        if url.fragment().is_some() {
            return Err(
                "a Redis URL has no fragment: certificates are always verified; write # in a password as %23"
                    .to_owned(),
            );
        }
        let host = match url.host() {
            // In a URL of this scheme a name is not decoded yet.
            Some(Host::Domain(name)) => decoded(name, "the host")?,
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err("no host is named; use redis://user:password@host:6379".to_owned()),
        };
        if host.contains(',') {
            return Err(
                "several hosts are named, and a cluster is not supported; name one address".to_owned()
            );
        }
        let database = match url.path().trim_matches('/') {
            "" => 0,
            number => number.parse().map_err(|_| "the path is not the number of a database".to_owned())?,
        };
        let mut authorities = None;
        for (name, value) in url.query_pairs() {
            match &*name {
                "cacertfile" if is_encrypted && !value.is_empty() => {
                    authorities = Some(PathBuf::from(&*value));
                }
                "cacertfile" => {
                    return Err("the parameter cacertfile names a file, for rediss:// only".to_owned());
                }
                _ => return Err("the only parameter is cacertfile, for rediss://".to_owned()),
            }
        }
        let tls = match is_encrypted {
            true => {
                let server = ServerName::try_from(host.clone());
                let server =
                    server.map_err(|_| "the host is no name that a certificate can have".to_owned())?;
                Some(Trust { server, authorities })
            }
            false => None,
        };
        let user = decoded(url.username(), "the user")?;
        let password = url.password().map(|password| decoded(password, "the password")).transpose()?;
        if !user.is_empty() && password.is_none() {
            return Err("a user is named without a password; use redis://user:password@host:6379".to_owned());
        }
        Ok(Self {
            host,
            port: url.port().unwrap_or(PORT_DEFAULT),
            tls,
            user: Some(user).filter(|user| !user.is_empty()),
            password: password.map(Secret::new),
            database,
        })
    }

    /// Who asks there, and in which database.
    pub(super) fn user(&self) -> RedisConnectionInfo {
        let mut info = RedisConnectionInfo::default().set_db(self.database.into());
        if let Some(user) = &self.user {
            info = info.set_username(user);
        }
        if let Some(password) = &self.password {
            info = info.set_password(password.expose());
        }
        info
    }
}

fn decoded(text: &str, what: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(|text| text.into_owned())
        .map_err(|_| format!("{what} is not UTF-8 once its % signs are decoded"))
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.host, self.port, self.database)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(url: &str) -> Option<String> {
        check_url(&url.parse().expect("a URL")).err()
    }

    #[test]
    fn what_a_url_says() {
        let location = Location::of(&"redis://ada:p%40ss@cache.example:7000/3".parse().expect("a URL"));
        let location = location.expect("it is one");
        assert_eq!(location.to_string(), "cache.example:7000/3");
        let user = location.user();
        assert_eq!((user.username(), user.password(), user.db()), (Some("ada"), Some("p@ss"), 3));
        assert!(!format!("{location:?}").contains("p@ss"));
        for url in
            ["redis://[::1]", "rediss://cache.example?cacertfile=/etc/ca.pem", "redis://:secret@cache/"]
        {
            assert_eq!(fault(url), None, "{url}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_url() {
        for (url, part) in [
            ("redis:///0", "no host"),
            ("redis://cache/menu", "number of a database"),
            ("redis://cache/99999999", "number of a database"),
            ("redis://ada@cache", "without a password"),
            ("redis://one,two", "several hosts"),
            ("rediss://cache#insecure", "always verified"),
            ("redis://cache?cacertfile=/etc/ca.pem", "for rediss:// only"),
            ("redis://cache?timeout=1", "the only parameter"),
        ] {
            assert!(fault(url).is_some_and(|fault| fault.contains(part)), "{url}: {:?}", fault(url));
        }
    }

    #[test]
    fn a_fault_does_not_show_the_password() {
        let fault = fault("redis://ada:hunter22@cache/menu?x=hunter22").expect("it is wrong");
        assert!(!fault.contains("hunter22"), "{fault}");
    }
}
