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
        support::migrate(&*store, StoredEntries::steps()).await;
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
        support::migrate(&*store, StoredEntries::steps()).await;
        (Arc::new(StoredEntries::new(store, Clock::system())), database)
    }

    neuroglia_testing::cache_conformance!(make);
}
