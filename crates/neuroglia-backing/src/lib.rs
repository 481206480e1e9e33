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
//! | `smtp://mail.example:587`, `smtps://user:password@mail.example` | a mail server | `smtp` |
//!
//! What is attached by an HTTP URL is called through the module `http`, with the feature of that name.
//! What carries events is another resource, which [`bus`] attaches.
//! A [`cache`] has a URL of its own.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use neuroglia::clock::Clock;
use neuroglia::data::Store;
use neuroglia::data::memory::MemoryStore;
use neuroglia::documents::Documents;
use neuroglia::error::{Error, Result};
use neuroglia::id::Ids;
use neuroglia::mail::MailServer;
use url::Url;

#[cfg(feature = "amqp")]
pub mod amqp;
pub mod bus;
pub mod cache;
#[cfg(feature = "http")]
pub mod http;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod migrations;
#[cfg(feature = "mongodb")]
pub mod mongodb;
#[cfg(feature = "nats")]
pub mod nats;
#[cfg(any(feature = "mongodb", feature = "postgres"))]
mod not_there;
#[cfg(any(feature = "mongodb", feature = "postgres", feature = "sqlite"))]
mod owner;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "http")]
pub mod sink;
#[cfg(feature = "smtp")]
pub mod smtp;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(any(feature = "mongodb", feature = "postgres", feature = "sqlite"))]
mod step;
#[cfg(any(feature = "amqp", feature = "http", feature = "nats", feature = "redis"))]
mod tls;

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

/// Whether a service can be called at such a URL: `https://…` or `http://…`, with the feature `http`.
///
/// # Errors
/// What is wrong with it, as a fragment for the report of settings.
pub fn check_service_url(url: &Url) -> Result<(), String> {
    match url.scheme() {
        #[cfg(feature = "http")]
        "http" | "https" => http::check_url(url),
        #[cfg(not(feature = "http"))]
        "http" | "https" => Err("this executable was built without the feature `http`".to_owned()),
        scheme => Err(format!("there is no service at {scheme}: use https:// or http://")),
    }
}

/// Opens the mail server that the URL names; nobody is connected to yet.
///
/// # Errors
/// [`ErrorKind::Invalid`](neuroglia::error::ErrorKind::Invalid) for a URL that [`check_mail_url`] refuses, and for a
/// file that it names and that cannot be used.
pub async fn connect_mail(url: &Url) -> Result<Arc<dyn MailServer>> {
    let open = mail(url).map_err(|fault| Error::invalid("mail.url", fault))?;
    open(url.clone()).await
}

/// Whether [`connect_mail`] could open such a URL, without touching anything.
///
/// # Errors
/// What is wrong with it, as a fragment for the report of settings.
pub fn check_mail_url(url: &Url) -> Result<(), String> {
    mail(url).map(|_| ())
}

/// How a mail server is opened.
type OpenMail = fn(Url) -> Pin<Box<dyn Future<Output = Result<Arc<dyn MailServer>>> + Send>>;

/// The mail server that the URL names, once nothing is wrong with the URL.
fn mail(url: &Url) -> Result<OpenMail, String> {
    match url.scheme() {
        #[cfg(feature = "smtp")]
        "smtp" | "smtps" => smtp::check_url(url).map(|()| -> OpenMail { |url| Box::pin(smtp::open(url)) }),
        #[cfg(not(feature = "smtp"))]
        "smtp" | "smtps" => Err("this executable was built without the feature `smtp`".to_owned()),
        scheme => Err(format!(
            "there is no mail server {scheme}: use smtp://host:587 or smtps://user:password@host"
        )),
    }
}

/// What reads documents that others publish, such as the keys of an issuer of tokens at this URL. Certificates are
/// verified against the public authorities, or only those in a PEM file: the URL is the issuer's name, and has no room for
/// it.
///
/// # Errors
/// [`ErrorKind::Invalid`](neuroglia::error::ErrorKind::Invalid) for a URL by which nothing is published, without the
/// feature that reads it, and for a file of authorities that cannot be used.
pub fn connect_documents(
    url: &Url,
    authority: Option<&Path>,
    clock: Clock,
    ids: Ids,
) -> Result<Arc<dyn Documents>> {
    let open = documents(url).map_err(|fault| Error::invalid("documents.url", fault))?;
    open(authority, clock, ids)
}

/// How documents are read.
type OpenDocuments = fn(Option<&Path>, Clock, Ids) -> Result<Arc<dyn Documents>>;

fn documents(url: &Url) -> Result<OpenDocuments, String> {
    match url.scheme() {
        #[cfg(feature = "http")]
        "http" | "https" => Ok(|authority, clock, ids| {
            Ok(Arc::new(http::HttpDocuments::new(authority, clock, ids)?) as Arc<dyn Documents>)
        }),
        #[cfg(not(feature = "http"))]
        "http" | "https" => Err("this executable was built without the feature `http`".to_owned()),
        scheme => Err(format!("nothing is published by {scheme}: use https: or http:")),
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
    fn a_mail_server_is_judged_by_its_scheme() {
        let fault = |url: &str| check_mail_url(&url.parse().expect("a URL")).err();
        assert_eq!(fault("smtp://mail.example"), None);
        assert!(fault("pop3://mail.example").is_some_and(|fault| fault.contains("no mail server pop3")));
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
