//! Redis over TLS: who answers is who was asked, or nobody is talked to.

use std::time::Duration;

use neuroglia::cache::Cache;
use neuroglia::clock::Clock;
use neuroglia::error::chain;
use neuroglia::id::Ids;
use neuroglia_backing::cache::connect;
use neuroglia_testing::services::Redis;

#[tokio::test]
async fn a_certificate_is_verified_up_to_the_name_of_the_host() {
    let server = Redis::start_certified("localhost");
    let at = |host: &str, query: String| format!("rediss://{host}:{}/1{query}", server.port());
    let authority = format!("?cacertfile={}", server.authority().display());
    let open = async |url: String| {
        connect(&url.parse().expect("a URL"), Default::default(), Clock::system()).await.expect("a sound URL")
    };

    let engine = open(at("localhost", authority.clone())).await;
    let details = engine.check().await.expect("it is who it says");
    println!("redis {details:?}");
    let cache = Cache::new(engine, "shop", Ids::random());
    cache.set("menu", "margherita", Duration::from_secs(60)).await;
    assert_eq!(cache.get::<String>("menu").await.as_deref(), Some("margherita"));

    // The same server by another name, and by an authority that nobody knows here.
    for url in [at("127.0.0.1", authority), at("localhost", String::new())] {
        let error = open(url).await.check().await.expect_err("nobody is talked to");
        assert!(chain(&error).contains("certificate"), "{}", chain(&error));
    }
}

#[tokio::test]
async fn a_file_of_authorities_that_cannot_be_used_ends_the_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing").expect("a file");
    for (file, part) in [(folder.path().join("missing.pem"), "No such file"), (empty, "no certificate")] {
        let url = format!("rediss://localhost?cacertfile={}", file.display()).parse().expect("a URL");
        let error =
            connect(&url, Default::default(), Clock::system()).await.map(drop).expect_err("it is refused");
        assert!(error.to_string().contains(part), "{error}");
    }
}
