//! From a URL to a database.

use std::fmt;

use percent_encoding::percent_decode_str;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::{Host, Url};

/// Whether the URL names a database, without touching it.
///
/// `postgres://user:password@host:5432/database`, with these parameters after a question mark: `sslmode`
/// (`disable`, `allow`, `prefer`, `require`, `verify-ca`, `verify-full`), `sslrootcert`, `sslcert`, `sslkey`,
/// `application_name`, `host` (the folder of a Unix socket) and `pool` (the largest number of connections).
///
/// # Errors
/// What is wrong with it, as a fragment for the report of settings; it shows neither the password nor any value.
pub fn check_url(url: &Url) -> Result<(), String> {
    Location::of(url).map(|_| ())
}

/// A database, and how to get there.
#[derive(Clone)]
pub(super) struct Location {
    pub(super) connect: PgConnectOptions,
    pub(super) connections_max: Option<u32>,
}

impl Location {
    /// Reads the URL and nothing else. The driver would take what is missing from variables such as `PGHOST` and
    /// from `~/.pgpass`, so that a process could end up at another database than its settings say.
    pub(super) fn of(url: &Url) -> Result<Self, String> {
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(format!("the scheme is {}, not postgres", url.scheme()));
        }
        if url.fragment().is_some() {
            return Err("a PostgreSQL URL has no fragment; write # in a password as %23".to_owned());
        }
        let user = decoded(url.username(), "the user")?;
        if user.is_empty() {
            return Err("no user is named; use postgres://user:password@host:5432/database".to_owned());
        }
        let database = decoded(url.path().trim_start_matches('/'), "the database")?;
        if database.is_empty() || database.contains('/') {
            return Err("no database is named; use postgres://user:password@host:5432/database".to_owned());
        }
        let mut connect = PgConnectOptions::new_without_pgpass()
            .username(&user)
            .password(&decoded(url.password().unwrap_or_default(), "the password")?)
            .database(&database)
            .port(url.port().unwrap_or(5432))
            .ssl_mode(PgSslMode::Prefer)
            .application_name("neuroglia");
        let mut is_somewhere = true;
        connect = match url.host() {
            // In a URL of this scheme a name is not decoded yet.
            Some(Host::Domain(name)) => connect.host(&decoded(name, "the host")?),
            Some(Host::Ipv4(address)) => connect.host(&address.to_string()),
            Some(Host::Ipv6(address)) => connect.host(&address.to_string()),
            None => {
                is_somewhere = false;
                connect
            }
        };
        let mut connections_max = None;
        for (name, value) in url.query_pairs() {
            connect = match &*name {
                "sslmode" => connect.ssl_mode(value.parse().map_err(|_| {
                    "sslmode is none of disable, allow, prefer, require, verify-ca, verify-full".to_owned()
                })?),
                "sslrootcert" => connect.ssl_root_cert(&*value),
                "sslcert" => connect.ssl_client_cert(&*value),
                "sslkey" => connect.ssl_client_key(&*value),
                "application_name" => connect.application_name(&value),
                "host" if value.starts_with('/') => {
                    is_somewhere = true;
                    connect.socket(&*value)
                }
                "host" => return Err("the parameter host is the folder of a Unix socket".to_owned()),
                "pool" => {
                    let most = value.parse().ok().filter(|most| (1..=1_000).contains(most));
                    connections_max = Some(most.ok_or("pool is a number of connections from 1 to 1000")?);
                    connect
                }
                _ => return Err(format!("there is no parameter {name}")),
            };
        }
        if is_somewhere {
            Ok(Self { connect, connections_max })
        } else {
            Err("no host is named; use postgres://user:password@host:5432/database".to_owned())
        }
    }
}

fn decoded(text: &str, what: &str) -> Result<String, String> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| format!("{what} is not UTF-8"))?;
    if text.contains('\0') { Err(format!("{what} has a NUL in it")) } else { Ok(text.into_owned()) }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database = self.connect.get_database().unwrap_or_default();
        match self.connect.get_socket() {
            Some(folder) => write!(f, "{database} at {}", folder.display()),
            None => write!(f, "{database} at {}:{}", self.connect.get_host(), self.connect.get_port()),
        }
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

    fn location(url: &str) -> Result<Location, String> {
        Location::of(&url.parse().expect("a URL"))
    }

    #[test]
    fn a_url_says_where_the_database_is() {
        let shown = |url: &str| location(url).map(|location| location.to_string());
        assert_eq!(shown("postgres://mario@db/shop"), Ok("shop at db:5432".to_owned()));
        assert_eq!(shown("postgresql://mario:pw@[::1]:6000/my%20shop"), Ok("my shop at ::1:6000".to_owned()));
        assert_eq!(
            shown("postgres://mario@localhost/shop?host=/run/postgresql"),
            Ok("shop at /run/postgresql".to_owned())
        );
        let found = location("postgres://m%40rio@db/shop?sslmode=verify-full&pool=20&application_name=web");
        let found = found.expect("a sound URL");
        assert_eq!(found.connect.get_username(), "m@rio");
        assert_eq!(found.connections_max, Some(20));
        assert!(matches!(found.connect.get_ssl_mode(), PgSslMode::VerifyFull));
    }

    #[test]
    fn what_names_no_database_is_refused_without_showing_the_password() {
        for (url, part) in [
            ("postgres://mario:Gorgonzola7@db", "no database"),
            ("postgres://mario:Gorgonzola7@db/a/b", "no database"),
            ("postgres://:Gorgonzola7@db/shop", "no user"),
            ("postgres:///shop", "no user"),
            ("postgres://mario:Gorgonzola7@db/shop?sslmode=Gorgonzola7", "sslmode is none of"),
            ("postgres://mario:Gorgonzola7@db/shop?pool=0", "from 1 to 1000"),
            ("postgres://mario:Gorgonzola7@db/shop?host=db", "folder of a Unix socket"),
            ("postgres://mario:Gorgonzola7@db/shop?password=Gorgonzola7", "no parameter password"),
            ("postgres://mario:%FF@db/shop", "not UTF-8"),
            ("postgres://mario:Gorgonzola7@db/shop#x", "no fragment"),
            ("mysql://mario:Gorgonzola7@db/shop", "not postgres"),
        ] {
            let fault = location(url).expect_err(url);
            assert!(fault.contains(part), "{url}: {fault}");
            assert!(!fault.contains("Gorgonzola7"), "{fault}");
        }
    }
}
