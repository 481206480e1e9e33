//! The store, chosen by its URL.
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
use neuroglia::di::{Service, ServiceCollection};
use neuroglia::error::{Error, Result};
use neuroglia::settings::{Problems, Settings};
use url::Url;

/// Where documents are kept.
#[derive(Settings)]
#[setting(check = names_a_store)]
pub struct DatabaseSettings {
    /// Where documents are kept: `sqlite:///absolute/path.db`, `sqlite://relative.db`,
    /// `postgres://user:password@host:5432/database`, `mongodb://user:password@host:27017/database`,
    /// `mongodb+srv://user:password@name/database`, or `memory:` for tests.
    #[setting(alias = "MONGODB_CONNECTION_STRING", example = "sqlite://app.db")]
    pub database_url: Url,
    /// The database's name, where a MongoDB URL names none.
    pub database_name: Option<String>,
}

impl DatabaseSettings {
    /// The URL with the name of the database in it.
    fn url(&self) -> Url {
        let mut url = self.database_url.clone();
        if let Some(name) = &self.database_name
            && matches!(url.scheme(), "mongodb" | "mongodb+srv")
            && matches!(url.path(), "" | "/")
        {
            url.set_path(name);
        }
        url
    }
}

fn names_a_store(settings: &DatabaseSettings, problems: &mut Problems) {
    if let Err(problem) = check_url(&settings.url()) {
        problems.add("database_url", format!("is not valid: {problem}"));
    }
}

/// Gives an application the store that the settings name; it connects when the application starts.
pub fn attach(services: &mut ServiceCollection, settings: &DatabaseSettings) {
    let url = settings.url();
    services.add(Service::connected::<dyn Store, (), _, _>(move |()| async move { connect(&url).await }));
}

/// Opens the store that the URL names.
///
/// A server that is not there yet is waited for without an end: the host sets one, which is `STARTUP_TIMEOUT`, and
/// whoever has no host wraps this in a time-out.
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

/// How an engine is opened.
type Open = fn(Url) -> Pin<Box<dyn Future<Output = Result<Arc<dyn Store>>> + Send>>;

/// The engine that the URL names, once nothing is wrong with the URL.
fn engine(url: &Url) -> Result<Open, String> {
    match url.scheme() {
        "memory" => crate::is_bare(url)
            .map(|()| -> Open { |_| Box::pin(async { Ok(Arc::new(MemoryStore::new()) as Arc<dyn Store>) }) }),
        #[cfg(feature = "sqlite")]
        "sqlite" => {
            crate::sqlite::check_url(url).map(|()| -> Open { |url| Box::pin(crate::sqlite::open(url)) })
        }
        #[cfg(not(feature = "sqlite"))]
        "sqlite" => Err("this executable was built without the feature `sqlite`".to_owned()),
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => {
            crate::postgres::check_url(url).map(|()| -> Open { |url| Box::pin(crate::postgres::open(url)) })
        }
        #[cfg(not(feature = "postgres"))]
        "postgres" | "postgresql" => {
            Err("this executable was built without the feature `postgres`".to_owned())
        }
        #[cfg(feature = "mongodb")]
        "mongodb" | "mongodb+srv" => {
            crate::mongodb::check_url(url).map(|()| -> Open { |url| Box::pin(crate::mongodb::open(url)) })
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
    fn a_url_is_judged_by_its_scheme() {
        let fault = |url: &str| check_url(&url.parse().expect("a URL")).err();
        assert_eq!(fault("memory:"), None);
        assert_eq!(fault("memory://"), None);
        assert!(fault("memory://shop").is_some_and(|fault| fault.contains("nothing after the colon")));
        assert!(fault("redis://cache").is_some_and(|fault| fault.contains("no store engine redis")));
    }

    #[test]
    fn a_name_completes_the_url_of_a_mongodb_and_no_other() {
        let whole = |url: &str, name: &str| {
            let database_url = url.parse().expect("a URL");
            DatabaseSettings { database_url, database_name: Some(name.to_owned()) }.url().to_string()
        };
        assert_eq!(whole("mongodb://db:27017", "shop"), "mongodb://db:27017/shop");
        assert_eq!(whole("mongodb://db/?tls=true", "shop"), "mongodb://db/shop?tls=true");
        assert_eq!(whole("mongodb://db/own", "shop"), "mongodb://db/own");
        assert_eq!(whole("sqlite://shop.db", "other"), "sqlite://shop.db");
    }
}
