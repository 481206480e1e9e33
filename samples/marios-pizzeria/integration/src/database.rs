//! The store, chosen by `DATABASE_URL`.

use neuroglia::data::Store;
use neuroglia::di::{Service, ServiceCollection};
use neuroglia::settings::{Problems, Settings};
use neuroglia_backing::{check_url, connect};
use url::Url;

/// Where documents are kept.
#[derive(Settings)]
#[setting(check = names_a_store)]
pub struct DatabaseSettings {
    /// Where orders are kept: `sqlite:///absolute/path.db`, `sqlite://relative.db`,
    /// `postgres://user:password@host:5432/database`, `mongodb://user:password@host:27017/database`,
    /// `mongodb+srv://user:password@name/database`, or `memory:` for tests.
    #[setting(alias = "MONGODB_CONNECTION_STRING", example = "sqlite://pizzeria.db")]
    pub database_url: Url,
    /// The database's name, where a MongoDB URL names none.
    #[setting(default = "marios_pizzeria")]
    pub database_name: String,
}

impl DatabaseSettings {
    /// The URL with the name of the database in it.
    fn url(&self) -> Url {
        let mut url = self.database_url.clone();
        if matches!(url.scheme(), "mongodb" | "mongodb+srv") && matches!(url.path(), "" | "/") {
            url.set_path(&self.database_name);
        }
        url
    }
}

fn names_a_store(settings: &DatabaseSettings, problems: &mut Problems) {
    if let Err(problem) = check_url(&settings.url()) {
        problems.add("database_url", format!("is not valid: {problem}"));
    }
}

/// Attaches the store that the URL names; it connects when the application starts.
pub fn register(services: &mut ServiceCollection, settings: &DatabaseSettings) {
    let url = settings.url();
    services.add(Service::connected::<dyn Store, (), _, _>(move |()| async move { connect(&url).await }));
}

#[cfg(test)]
mod tests {
    use neuroglia::settings::Environment;

    use super::*;
    use crate::CacheSettings;

    #[test]
    fn a_name_completes_the_url_of_a_mongodb_and_no_other() {
        let whole = |url: &str, name: &str| {
            let database_url = url.parse().expect("a URL");
            DatabaseSettings { database_url, database_name: name.to_owned() }.url().to_string()
        };
        assert_eq!(whole("mongodb://db:27017", "shop"), "mongodb://db:27017/shop");
        assert_eq!(whole("mongodb://db/?tls=true", "shop"), "mongodb://db/shop?tls=true");
        assert_eq!(whole("mongodb://db/own", "shop"), "mongodb://db/own");
        assert_eq!(whole("sqlite://shop.db", "other"), "sqlite://shop.db");
    }

    #[test]
    fn the_names_of_other_deployments_say_the_same() {
        let mongodb = ("MONGODB_CONNECTION_STRING", "mongodb://localhost:27017");
        let environment = |pairs: &[(&'static str, &'static str)]| {
            Environment::from_pairs(
                pairs.iter().copied().chain([mongodb, ("REDIS_URL", "redis://cache:6379/1")]),
            )
        };
        let store = |pairs: &[_]| {
            let loaded = environment(pairs).load::<DatabaseSettings>(&[]);
            loaded.settings.unwrap_or_else(|| panic!("{}", loaded.report.faults())).url().to_string()
        };
        assert_eq!(store(&[]), "mongodb://localhost:27017/marios_pizzeria");
        assert_eq!(store(&[("DATABASE_NAME", "shop")]), "mongodb://localhost:27017/shop");
        let cache = environment(&[]).load::<CacheSettings>(&[]).settings.expect("its defaults are sound");
        assert_eq!(cache.cache_url.as_str(), "redis://cache:6379/1");
    }
}
