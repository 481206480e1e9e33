//! What others publish at a URL, such as the keys of an issuer of tokens; with the feature `http`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use neuroglia::clock::Clock;
use neuroglia::di::{Lifetime, Service, ServiceCollection};
use neuroglia::documents::Documents;
use neuroglia::error::{Error, Result};
use neuroglia::id::Ids;
use url::Url;

/// Gives an application what reads the documents of this issuer, who is known by the public authorities or by those in
/// this file. A URL by which nothing is published, or a file that cannot be used, ends the start.
pub fn attach(services: &mut ServiceCollection, issuer: &str, authority: Option<&Path>) {
    let (issuer, authority) = (issuer.to_owned(), authority.map(PathBuf::from));
    services.add(Service::factory::<dyn Documents, (Clock, Ids), _>(
        Lifetime::Singleton,
        move |(clock, ids)| -> Result<Arc<dyn Documents>> {
            let url: Url = issuer.parse().map_err(Error::internal)?;
            connect(&url, authority.as_deref(), clock, ids)
        },
    ));
}

/// What reads documents that others publish, such as the keys of an issuer of tokens at this URL. Certificates are
/// verified against the public authorities, or only those in a PEM file: the URL is the issuer's name, and has no room for
/// it.
///
/// # Errors
/// [`ErrorKind::Invalid`](neuroglia::error::ErrorKind::Invalid) for a URL by which nothing is published, without the
/// feature that reads it, and for a file of authorities that cannot be used.
pub fn connect(url: &Url, authority: Option<&Path>, clock: Clock, ids: Ids) -> Result<Arc<dyn Documents>> {
    let open = source(url).map_err(|fault| Error::invalid("documents.url", fault))?;
    open(authority, clock, ids)
}

/// How documents are read.
type OpenDocuments = fn(Option<&Path>, Clock, Ids) -> Result<Arc<dyn Documents>>;

fn source(url: &Url) -> Result<OpenDocuments, String> {
    match url.scheme() {
        #[cfg(feature = "http")]
        "http" | "https" => Ok(|authority, clock, ids| {
            Ok(Arc::new(crate::http::HttpDocuments::new(authority, clock, ids)?) as Arc<dyn Documents>)
        }),
        #[cfg(not(feature = "http"))]
        "http" | "https" => Err("this executable was built without the feature `http`".to_owned()),
        scheme => Err(format!("nothing is published by {scheme}: use https: or http:")),
    }
}
