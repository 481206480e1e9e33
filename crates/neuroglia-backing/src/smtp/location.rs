//! Where a mail server is, and how it is spoken to, as a URL says it.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use lettre::transport::smtp::authentication::Credentials;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// The port of submission (RFC 6409).
const PORT_SUBMISSION: u16 = 587;

/// The port of submission over TLS from the start (RFC 8314).
const PORT_SUBMISSIONS: u16 = 465;

/// What a URL says of a mail server.
pub(super) struct Location {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) encryption: Encryption,
    pub(super) credentials: Option<Credentials>,
    /// A file with the certificates that vouch for the server, instead of those that everybody trusts.
    pub(super) authority: Option<PathBuf>,
}

/// When the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encryption {
    /// From the first byte.
    Always,
    /// After `STARTTLS`, or nothing is sent.
    Required,
    /// After `STARTTLS`, if the server offers it.
    Opportunistic,
}

impl Location {
    pub(super) fn of(url: &Url) -> Result<Self, String> {
        let wrapped = match url.scheme() {
            "smtp" => false,
            "smtps" => true,
            scheme => return Err(format!("{scheme}: is no mail server: use smtp: or smtps:")),
        };
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            _ => return Err("it names no host: write smtp://user:password@host:587".to_owned()),
        };
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err("nothing may follow the port but `?tls=` and `?cacertfile=`".to_owned());
        }
        let credentials = credentials(url)?;
        let (mut tls, mut authority) = (None, None);
        for (name, value) in url.query_pairs() {
            match (&*name, &*value) {
                ("tls", _) if wrapped => {
                    return Err("smtps: is encrypted from the start: leave `tls=` out".to_owned());
                }
                ("tls", "required") => tls = Some(Encryption::Required),
                ("tls", "opportunistic") => tls = Some(Encryption::Opportunistic),
                ("tls", _) => return Err("`tls=` is `required` or `opportunistic`".to_owned()),
                ("cacertfile", "") => {
                    return Err("`cacertfile=` names a file of certificates in PEM".to_owned());
                }
                ("cacertfile", file) => authority = Some(PathBuf::from(file)),
                (name, _) => return Err(format!("`{name}=` is not known: use `tls=` or `cacertfile=`")),
            }
        }
        let encryption = match tls {
            _ if wrapped => Encryption::Always,
            Some(tls) => tls,
            // Whoever stands between could hide the server's offer and read the password.
            None if credentials.is_some() && !is_loopback(&host) => Encryption::Required,
            None => Encryption::Opportunistic,
        };
        let port = url.port().unwrap_or(if wrapped { PORT_SUBMISSIONS } else { PORT_SUBMISSION });
        Ok(Self { host, port, encryption, credentials, authority })
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Location")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("encryption", &self.encryption)
            .finish_non_exhaustive()
    }
}

fn credentials(url: &Url) -> Result<Option<Credentials>, String> {
    let decoded = |text: &str| {
        let text = percent_decode_str(text).decode_utf8().map_err(|_| "user and password are UTF-8")?;
        if text.contains(char::is_control) {
            Err("user and password have no control characters")
        } else {
            Ok(text.into_owned())
        }
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) | (_, None) => Err("it takes a user and a password, or neither".to_owned()),
        (user, Some(password)) => Ok(Some(Credentials::new(decoded(user)?, decoded(password)?))),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(url: &str) -> Result<Location, String> {
        Location::of(&url.parse().expect("a URL"))
    }

    #[test]
    fn a_url_says_how_the_server_is_spoken_to() {
        use Encryption::{Always, Opportunistic, Required};
        let table = [
            ("smtp://mail.example", "mail.example", 587, Opportunistic, false),
            ("smtp://mail.example:25/", "mail.example", 25, Opportunistic, false),
            ("smtp://mail.example?tls=required", "mail.example", 587, Required, false),
            ("smtp://ada:pw@mail.example", "mail.example", 587, Required, true),
            ("smtp://ada:pw@mail.example?tls=opportunistic", "mail.example", 587, Opportunistic, true),
            ("smtp://ada:pw@localhost:2525", "localhost", 2525, Opportunistic, true),
            ("smtp://ada:pw@127.0.0.1:2525", "127.0.0.1", 2525, Opportunistic, true),
            ("smtp://ada:pw@[::1]:2525", "::1", 2525, Opportunistic, true),
            ("smtps://ada:pw@mail.example", "mail.example", 465, Always, true),
            ("smtps://mail.example:8465?cacertfile=/etc/ca.pem", "mail.example", 8465, Always, false),
        ];
        for (url, host, port, encryption, known) in table {
            let found = location(url).expect(url);
            assert_eq!((&*found.host, found.port, found.encryption), (host, port, encryption), "{url}");
            assert_eq!(found.credentials.is_some(), known, "{url}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        let table = [
            ("http://mail.example", "use smtp:"),
            ("smtp:", "names no host"),
            ("smtp://mail.example/inbox", "nothing may follow"),
            ("smtp://mail.example?tls=maybe", "`required` or `opportunistic`"),
            ("smtps://mail.example?tls=required", "encrypted from the start"),
            ("smtp://mail.example?cacertfile=", "names a file"),
            ("smtp://mail.example?hunter2", "not known"),
            ("smtp://ada@mail.example", "a user and a password"),
            ("smtp://:hunter2@mail.example", "a user and a password"),
            ("smtp://ada:hunter2%0d%0aQUIT@mail.example", "no control characters"),
            ("smtp://ada:hunter2%ff@mail.example", "UTF-8"),
        ];
        for (url, expected) in table {
            let fault = location(url).expect_err(url);
            assert!(fault.contains(expected), "{url}: {fault}");
            assert!(!fault.contains("hunter2") || url.contains('?'), "{fault}");
        }
        let found = location("smtp://ada:hunter2@mail.example").expect("a location");
        assert!(!format!("{found:?}").contains("hunter2"));
    }
}
