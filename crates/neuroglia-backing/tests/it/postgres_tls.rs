//! PostgreSQL over TLS: who answers is who was asked, or nobody is talked to.

use neuroglia::data::Store;
use neuroglia::error::Error;
use neuroglia_backing::postgres::sqlx::{self, Connection, PgConnection, Row};
use neuroglia_backing::postgres::{PostgresOptions, PostgresStore};
use neuroglia_testing::services::{Database, Postgres};
use url::Url;

/// The database, by this name of its host and with these parameters.
fn at(database: &Database, host: &str, parameters: &str) -> Url {
    let mut url: Url = database.url().parse().expect("a URL");
    url.set_host(Some(host)).expect("it has a host");
    url.set_query(Some(parameters));
    url
}

async fn refused(url: &Url) -> Error {
    let opened = PostgresStore::open(url, PostgresOptions::default()).await;
    opened.map(drop).expect_err("nobody is talked to")
}

#[tokio::test]
async fn a_certificate_is_verified_up_to_the_name_of_the_host() {
    let server = Postgres::start_certified("localhost");
    let database = Database::create_on(&server.url());
    let authority = format!("sslmode=verify-full&sslrootcert={}", server.authority().display());

    let certified = at(&database, "localhost", &authority);
    let store = PostgresStore::open(&certified, PostgresOptions::default()).await.expect("it is who it says");
    store.ping().await.expect("it answers");
    let mut observer = PgConnection::connect(&database.url()).await.expect("the database is there");
    let encrypted = "SELECT ssl.ssl FROM pg_stat_ssl ssl JOIN pg_stat_activity USING (pid) \
                     WHERE application_name = 'neuroglia'";
    let row = sqlx::query(encrypted).fetch_one(&mut observer).await.expect("the store is connected");
    assert!(row.get::<bool, _>(0), "its connection is encrypted");
    store.close().await;

    // The same server by another name, and by an authority that nobody knows here.
    for url in [at(&database, "127.0.0.1", &authority), at(&database, "localhost", "sslmode=verify-full")] {
        let error = refused(&url).await.to_string();
        assert!(error.contains("certificate") && error.contains("sslrootcert"), "{error}");
    }
}
