//! Each cache keeps every rule of the port, and so does what stands in for one in the store.

mod memory {
    use std::sync::Arc;

    use neuroglia::cache::CacheEngine;
    use neuroglia::clock::Clock;
    use neuroglia_backing::cache::connect;

    async fn make() -> Arc<dyn CacheEngine> {
        let url = "memory:".parse().expect("a URL");
        connect(&url, Default::default(), Clock::system()).await.expect("memory is always there")
    }

    neuroglia_testing::cache_conformance!(make);
}

mod redis {
    use std::sync::Arc;

    use neuroglia::cache::CacheEngine;
    use neuroglia::clock::Clock;
    use neuroglia_backing::cache::connect;
    use neuroglia_testing::services::Redis;

    async fn make() -> (Arc<dyn CacheEngine>, Redis) {
        let server = Redis::start();
        let url = server.url().parse().expect("a URL");
        (connect(&url, Default::default(), Clock::system()).await.expect("a sound URL"), server)
    }

    neuroglia_testing::cache_conformance!(make);
}

mod stored_on_sqlite {
    use std::sync::Arc;

    use neuroglia::cache::{CacheEngine, StoredEntries};
    use neuroglia::clock::Clock;
    use tempfile::TempDir;

    use crate::support;

    async fn make() -> (Arc<dyn CacheEngine>, TempDir) {
        let (store, folder) = support::sqlite().await;
        support::migrate(&*store, Vec::new()).await;
        (Arc::new(StoredEntries::new(store, Clock::system())), folder)
    }

    neuroglia_testing::cache_conformance!(make);
}

mod stored_on_postgres {
    use std::sync::Arc;

    use neuroglia::cache::{CacheEngine, StoredEntries};
    use neuroglia::clock::Clock;
    use neuroglia_testing::services::Database;

    use crate::support;

    async fn make() -> (Arc<dyn CacheEngine>, Database) {
        let (store, database) = support::postgres().await;
        support::migrate(&*store, Vec::new()).await;
        (Arc::new(StoredEntries::new(store, Clock::system())), database)
    }

    neuroglia_testing::cache_conformance!(make);
}

/// Where applications made the collection before the store did, it stays as it is, and so does what is in it.
mod stored_where_it_was {
    use std::sync::Arc;
    use std::time::Duration;

    use neuroglia::cache::{CacheEngine, StoredEntries};
    use neuroglia::clock::Clock;
    use neuroglia::data::Store;
    use neuroglia_backing::mongodb::driver::Client;
    use neuroglia_backing::mongodb::driver::bson::{Document, doc};
    use neuroglia_backing::sqlite::sqlx::{self, Connection};
    use sqlx::{PgConnection, SqliteConnection};

    use crate::support;

    /// As the history was before.
    const FORGET: &str = "DELETE FROM ng_migration WHERE name = 'framework: what is kept for a while'";

    /// A store whose application makes the collection, and an entry in it.
    async fn with_an_entry(store: Arc<dyn Store>) -> StoredEntries {
        support::migrate(&*store, StoredEntries::steps()).await;
        let entries = StoredEntries::new(store, Clock::system());
        entries.set("s-1", "chef".into(), Duration::from_secs(3_600)).await.expect("it is kept");
        entries
    }

    /// Migrates once more, which the store lacks, and finds the entry.
    async fn assert_untouched(store: &dyn Store, entries: &StoredEntries) {
        let lacks = async || {
            let own = store.own_history().await.expect("the history is read");
            own.expected.len() - own.applied.len()
        };
        assert_eq!(lacks().await, 1);
        support::migrate(store, StoredEntries::steps()).await;
        assert_eq!(lacks().await, 0);
        assert_eq!(entries.get("s-1").await.expect("it answers").as_deref(), Some(&b"chef"[..]));
    }

    #[tokio::test]
    async fn on_sqlite() {
        let (store, folder) = support::sqlite().await;
        let entries = with_an_entry(Arc::clone(&store) as _).await;
        let url = support::url(&folder.path().join("store.db")).to_string();
        let mut behind = SqliteConnection::connect(&url).await.expect("the file is there");
        sqlx::raw_sql(FORGET).execute(&mut behind).await.expect("it is forgotten");
        assert_untouched(&*store, &entries).await;
    }

    #[tokio::test]
    async fn on_postgres() {
        let (store, database) = support::postgres().await;
        let entries = with_an_entry(Arc::clone(&store) as _).await;
        let mut behind = PgConnection::connect(&database.url()).await.expect("the database is there");
        sqlx::raw_sql(FORGET).execute(&mut behind).await.expect("it is forgotten");
        assert_untouched(&*store, &entries).await;
    }

    #[tokio::test]
    async fn on_mongodb() {
        let (store, database) = support::mongodb().await;
        let entries = with_an_entry(Arc::clone(&store) as _).await;
        let client = Client::with_uri_str(database.url()).await.expect("a sound URI");
        let migrations = client.default_database().expect("a name").collection::<Document>("ng_migration");
        let own = doc! { "name": "framework: what is kept for a while" };
        assert_eq!(migrations.delete_one(own).await.expect("it is forgotten").deleted_count, 1);
        assert_untouched(&*store, &entries).await;
    }
}
