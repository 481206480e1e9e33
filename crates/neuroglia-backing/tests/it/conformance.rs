//! All engines keep every rule of the port.

mod memory {
    use std::sync::Arc;

    use neuroglia::data::Store;

    async fn make() -> Arc<dyn Store> {
        neuroglia_backing::store::connect(&"memory:".parse().expect("a URL"))
            .await
            .expect("memory is always there")
    }

    neuroglia_testing::store_conformance!(make);
}

mod sqlite {
    use std::sync::Arc;

    use neuroglia::data::Store;
    use tempfile::TempDir;

    use crate::support;

    async fn make() -> (Arc<dyn Store>, TempDir) {
        let (store, folder) = support::sqlite().await;
        (store, folder)
    }

    neuroglia_testing::store_conformance!(make);
}

mod postgres {
    use std::sync::Arc;

    use neuroglia::data::Store;
    use neuroglia_testing::services::Database;

    use crate::support;

    async fn make() -> (Arc<dyn Store>, Database) {
        let (store, database) = support::postgres().await;
        (store, database)
    }

    neuroglia_testing::store_conformance!(make);
}

mod mongodb {
    use std::sync::Arc;

    use neuroglia::data::Store;
    use neuroglia_testing::services::MongoDatabase;

    use crate::support;

    async fn make() -> (Arc<dyn Store>, MongoDatabase) {
        let (store, database) = support::mongodb().await;
        (store, database)
    }

    neuroglia_testing::store_conformance!(make);
}
