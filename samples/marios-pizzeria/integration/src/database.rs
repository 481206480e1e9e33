//! The store, chosen by `DATABASE_URL`.

use neuroglia::data::Store;
use neuroglia::di::{Service, ServiceCollection};
use neuroglia::settings::Settings;
use neuroglia_backing::connect;
use url::Url;

/// Where documents are kept.
#[derive(Settings)]
pub struct DatabaseSettings {
    /// Where orders are kept: `sqlite:///absolute/path.db`, `sqlite://relative.db`,
    /// `postgres://user:password@host:5432/database`, or `memory:` for tests.
    #[setting(example = "sqlite://pizzeria.db", check = neuroglia_backing::check_url)]
    pub database_url: Url,
}

/// Attaches the store that the URL names; it connects when the application starts.
pub fn register(services: &mut ServiceCollection, settings: &DatabaseSettings) {
    let url = settings.database_url.clone();
    services.add(Service::connected::<dyn Store, (), _, _>(move |()| async move { connect(&url).await }));
}
