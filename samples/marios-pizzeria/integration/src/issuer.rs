//! What an outside issuer of tokens publishes, read at its URL.

use std::path::Path;
use std::sync::Arc;

use neuroglia::clock::Clock;
use neuroglia::di::{Lifetime, Service, ServiceCollection};
use neuroglia::documents::Documents;
use neuroglia::error::Error;
use neuroglia::id::Ids;
use neuroglia_backing::connect_documents;
use url::Url;

/// Registers what reads the documents of this issuer, who is known by the public authorities or by the one in this file.
pub fn register(services: &mut ServiceCollection, issuer: &str, authority: Option<&Path>) {
    let (issuer, authority) = (issuer.to_owned(), authority.map(Path::to_owned));
    services.add(Service::factory::<dyn Documents, (Clock, Ids), _>(
        Lifetime::Singleton,
        move |(clock, ids)| -> neuroglia::error::Result<Arc<dyn Documents>> {
            let url: Url = issuer.parse().map_err(Error::internal)?;
            connect_documents(&url, authority.as_deref(), clock, ids)
        },
    ));
}
