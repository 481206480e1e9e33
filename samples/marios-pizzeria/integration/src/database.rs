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
    #[setting(example = "marios_pizzeria")]
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

/// Attaches the store that the URL names; it connects when the application starts.
pub fn register(services: &mut ServiceCollection, settings: &DatabaseSettings) {
    let url = settings.url();
    services.add(Service::connected::<dyn Store, (), _, _>(move |()| async move { connect(&url).await }));
}

#[cfg(test)]
mod tests {
    use super::*;

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
