//! From a URL to a deployment and a database in it.

use std::fmt;

use mongodb::options::ConnectionString;
use url::Url;

/// Whether the URL names a database, without touching it.
///
/// `mongodb://user:password@host:27017/database`, or `mongodb+srv://` with a name whose DNS records tell the hosts.
/// More hosts of a replica set follow in `seeds=b:27017,c:27017`, because a URL has one host; one is enough where it is
/// up when the process starts. The other parameters are MongoDB's own: `replicaSet`, `authSource`, `authMechanism`,
/// `tls`, `tlsCAFile`, `tlsCertificateKeyFile`, `directConnection`, `srvServiceName`, `srvMaxHosts`, `appName`,
/// `maxPoolSize`. Write concern, read concern and retries are the engine's; `w=majority`, `journal=true`,
/// `retryWrites=true` and `retryReads=true` may be said, because many a console writes them, and nothing weaker.
///
/// # Errors
/// What is wrong with it, as a fragment for the report of settings; it shows neither the password nor any value.
pub fn check_url(url: &Url) -> Result<(), String> {
    Location::of(url).map(|_| ())
}

/// A database, and how to get there.
#[derive(Clone)]
pub(super) struct Location {
    pub(super) connect: ConnectionString,
    pub(super) database: String,
    pub(super) connections_max: Option<u32>,
    hosts: String,
}

const FORM: &str = "use mongodb://user:password@host:27017/database";

/// What is passed on to the driver, in lower case.
const PARAMETERS: [&str; 10] = [
    "appname",
    "authmechanism",
    "authsource",
    "directconnection",
    "replicaset",
    "srvmaxhosts",
    "srvservicename",
    "tls",
    "tlscafile",
    "tlscertificatekeyfile",
];

/// What the engine does anyway.
const ALWAYS: [(&str, &str); 4] =
    [("journal", "true"), ("retryreads", "true"), ("retrywrites", "true"), ("w", "majority")];

impl Location {
    pub(super) fn of(url: &Url) -> Result<Self, String> {
        if !matches!(url.scheme(), "mongodb" | "mongodb+srv") {
            return Err(format!("the scheme is {}, not mongodb", url.scheme()));
        }
        if url.fragment().is_some() {
            return Err("a MongoDB URL has no fragment; write # in a password as %23".to_owned());
        }
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| format!("no host is named; {FORM}"))?;
        let database = url.path().trim_start_matches('/');
        if database.is_empty() {
            return Err(format!("no database is named; {FORM}, or name it in DATABASE_NAME"));
        }
        // The names that every server takes as they are; the server itself refuses more, and says less.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if database.len() > 63 || !database.bytes().all(is_plain) {
            return Err("a database's name has up to 63 letters, digits, underscores and hyphens".to_owned());
        }
        let mut hosts = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let (mut parameters, mut connections_max) = (String::new(), None);
        for (name, value) in url.query_pairs() {
            let lower = name.to_ascii_lowercase();
            match &*lower {
                "maxpoolsize" => {
                    let most = value.parse().ok().filter(|most| (1..=1_000).contains(most));
                    connections_max =
                        Some(most.ok_or("maxPoolSize is a number of connections from 1 to 1000")?);
                }
                "seeds" if url.scheme() == "mongodb" => hosts = format!("{hosts},{value}"),
                known if PARAMETERS.contains(&known) => {
                    let parameter =
                        url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>();
                    let parameter = format!("{name}={}", parameter.replace('+', "%20"));
                    ConnectionString::parse(format!("{}://h.example.com/?{parameter}", url.scheme()))
                        .map_err(|_| format!("{name} has a value that MongoDB does not know"))?;
                    parameters.push_str(if parameters.is_empty() { "?" } else { "&" });
                    parameters.push_str(&parameter);
                }
                always => match ALWAYS.iter().find(|(known, _)| *known == always) {
                    Some((_, only)) if value == *only => {}
                    Some((_, only)) => return Err(format!("{name} is always {only}; leave it out")),
                    None => return Err(format!("there is no parameter {name}")),
                },
            }
        }
        let user = match (url.username(), url.password()) {
            ("", _) => String::new(),
            (user, None) => format!("{user}@"),
            (user, Some(password)) => format!("{user}:{password}@"),
        };
        let text = format!("{}://{user}{hosts}/{database}{parameters}", url.scheme());
        let connect = ConnectionString::parse(text).map_err(|_| {
            "the user, the password or the hosts are not written as MongoDB's driver reads them; write characters \
             other than letters and digits as %XX"
                .to_owned()
        })?;
        Ok(Self { connect, database: database.to_owned(), connections_max, hosts })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.database, self.hosts)
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
        assert_eq!(shown("mongodb://db/shop"), Ok("shop at db".to_owned()));
        assert_eq!(shown("mongodb://mario:p%40w@[::1]:6000/shop"), Ok("shop at [::1]:6000".to_owned()));
        assert_eq!(
            shown("mongodb://a:27017/shop?replicaSet=rs0&seeds=b:27017,c:27018"),
            Ok("shop at a:27017,b:27017,c:27018".to_owned())
        );
        assert_eq!(
            shown("mongodb+srv://mario:pw@shop.example.com/shop?retryWrites=true&w=majority&appName=web"),
            Ok("shop at shop.example.com".to_owned())
        );
        let found = location("mongodb://db/shop?maxPoolSize=20&tls=true").expect("a sound URL");
        assert_eq!(found.connections_max, Some(20));
        assert_eq!(found.connect.default_database.as_deref(), Some("shop"));
        assert!(found.connect.tls.is_some());
    }

    #[test]
    fn what_names_no_database_or_weakens_a_promise_is_refused_without_showing_the_password() {
        for (url, part) in [
            ("mongodb://mario:Gorgonzola7@db", "no database"),
            ("mongodb://mario:Gorgonzola7@db/a/b", "letters, digits"),
            ("mongodb://mario:Gorgonzola7@db/shop?w=1", "w is always majority"),
            ("mongodb://mario:Gorgonzola7@db/shop?journal=false", "journal is always true"),
            ("mongodb://mario:Gorgonzola7@db/shop?authMechanism=Gorgonzola7", "authMechanism has a value"),
            ("mongodb://mario:Gorgonzola7@db/shop?maxPoolSize=0", "from 1 to 1000"),
            ("mongodb://mario:Gorgonzola7@db/shop?tlsInsecure=true", "no parameter tlsInsecure"),
            ("mongodb://mario:Gorgonzola7@db/shop?password=Gorgonzola7", "no parameter password"),
            ("mongodb://mario:Gorgonzola7@db/shop?seeds=c:Gorgonzola7", "written as MongoDB's driver"),
            ("mongodb://mario:Gorgonzola7@db/shop#x", "no fragment"),
            ("mysql://mario:Gorgonzola7@db/shop", "not mongodb"),
        ] {
            let fault = location(url).expect_err(url);
            assert!(fault.contains(part), "{url}: {fault}");
            assert!(!fault.contains("Gorgonzola7"), "{fault}");
        }
    }
}
