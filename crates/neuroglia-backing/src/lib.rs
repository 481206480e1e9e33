//! Attached resources, each chosen by its URL: this crate is the only one that knows drivers.
//!
//! An application names no engine. Its settings carry a URL, [`check_url`] judges it together with all other
//! settings, and [`connect`] opens it once at start; what comes back is the store port. Replacing the resource
//! is then a matter of configuration, and an engine is compiled in only when its feature is on.
//!
//! | URL | engine | feature |
//! |---|---|---|
//! | `sqlite:///var/lib/shop/shop.db`, `sqlite://shop.db` | a file, absolute or below the working directory | `sqlite` |
//! | `postgres://user:password@host:5432/shop` | a database that many processes share | `postgres` |
//! | `mongodb://user:password@host:27017/shop`, `mongodb+srv://…` | a database of a replica set or a cluster | `mongodb` |
//! | `memory:` | this process, forgotten at its end | always there |

use std::pin::Pin;
use std::sync::Arc;

use neuroglia::data::Store;
use neuroglia::data::memory::MemoryStore;
use neuroglia::error::{Error, Result};
use url::Url;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod migrations;
#[cfg(feature = "mongodb")]
pub mod mongodb;
#[cfg(any(feature = "mongodb", feature = "postgres", feature = "sqlite"))]
mod owner;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;

/// Opens the store that the URL names.
///
/// # Errors
/// [`ErrorKind::Invalid`](neuroglia::error::ErrorKind::Invalid) for a URL that [`check_url`] refuses;
/// [`ErrorKind::Unavailable`](neuroglia::error::ErrorKind::Unavailable) when the resource cannot be reached.
pub async fn connect(url: &Url) -> Result<Arc<dyn Store>> {
    let open = engine(url).map_err(|fault| Error::invalid("store.url", fault))?;
    open(url.clone()).await
}

/// Whether [`connect`] could open such a URL, without touching anything.
///
/// # Errors
/// What is wrong with it, as a fragment for the report of settings.
pub fn check_url(url: &Url) -> Result<(), String> {
    engine(url).map(|_| ())
}

/// Whether there is an event bus for such a URL: `local:`, the store itself.
///
/// # Errors
/// What is wrong with it, as a fragment for the report of settings.
pub fn check_bus_url(url: &Url) -> Result<(), String> {
    match url.scheme() {
        "local" if matches!(url.path(), "" | "/") && !url.has_host() => Ok(()),
        "local" => Err("local: takes nothing after the colon".to_owned()),
        scheme => Err(format!("there is no event bus {scheme}: use local:, the store itself")),
    }
}

/// How an engine is opened.
type Open = fn(Url) -> Pin<Box<dyn Future<Output = Result<Arc<dyn Store>>> + Send>>;

/// The engine that the URL names, once nothing is wrong with the URL.
fn engine(url: &Url) -> Result<Open, String> {
    match url.scheme() {
        "memory" if matches!(url.path(), "" | "/") && !url.has_host() => {
            Ok(|_| Box::pin(async { Ok(Arc::new(MemoryStore::new()) as Arc<dyn Store>) }))
        }
        "memory" => Err("memory: takes nothing after the colon".to_owned()),
        #[cfg(feature = "sqlite")]
        "sqlite" => sqlite::check_url(url).map(|()| -> Open { |url| Box::pin(sqlite::open(url)) }),
        #[cfg(not(feature = "sqlite"))]
        "sqlite" => Err("this executable was built without the feature `sqlite`".to_owned()),
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => {
            postgres::check_url(url).map(|()| -> Open { |url| Box::pin(postgres::open(url)) })
        }
        #[cfg(not(feature = "postgres"))]
        "postgres" | "postgresql" => {
            Err("this executable was built without the feature `postgres`".to_owned())
        }
        #[cfg(feature = "mongodb")]
        "mongodb" | "mongodb+srv" => {
            mongodb::check_url(url).map(|()| -> Open { |url| Box::pin(mongodb::open(url)) })
        }
        #[cfg(not(feature = "mongodb"))]
        "mongodb" | "mongodb+srv" => {
            Err("this executable was built without the feature `mongodb`".to_owned())
        }
        scheme => Err(format!(
            "there is no store engine {scheme}: use postgres://user@host/database, mongodb://host/database, \
             sqlite:///path/to/file.db or memory:"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_is_judged_by_its_scheme() {
        let fault = |url: &str| check_bus_url(&url.parse().expect("a URL")).err();
        assert_eq!(fault("local:"), None);
        assert!(fault("local://shop").is_some_and(|fault| fault.contains("nothing after the colon")));
        assert!(fault("carrier-pigeon:").is_some_and(|fault| fault.contains("no event bus carrier-pigeon")));
    }

    #[test]
    fn a_url_is_judged_by_its_scheme() {
        let fault = |url: &str| check_url(&url.parse().expect("a URL")).err();
        assert_eq!(fault("memory:"), None);
        assert_eq!(fault("memory://"), None);
        assert!(fault("memory://shop").is_some_and(|fault| fault.contains("nothing after the colon")));
        assert!(fault("redis://cache").is_some_and(|fault| fault.contains("no store engine redis")));
    }
}
