//! Documents that others publish, as they really serve them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::get;
use neuroglia::clock::Clock;
use neuroglia::documents::Documents;
use neuroglia::error::{ErrorKind, Result};
use neuroglia::id::Ids;
use neuroglia_testing::{Strait, Weather};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use crate::encrypted::Encrypted;
use crate::letters::{assert_authorities_are_read, assert_certificate_is_verified};

/// A server with documents; gives its port.
async fn published() -> u16 {
    let routes = Router::new()
        .route("/keys", get(async |RawQuery(query): RawQuery| json!({ "asked": query }).to_string()))
        .route("/moved", get(async || Redirect::temporary("/keys")))
        .route("/page", get(async || "<!doctype html>"))
        .route("/huge", get(async || format!("\"{}\"", "x".repeat(300 * 1024))))
        .route("/ill", get(async || StatusCode::INTERNAL_SERVER_ERROR));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it has an address").port();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    port
}

async fn read(port: u16, place: &str) -> Result<Value> {
    let url = format!("http://127.0.0.1:{port}/{place}").parse().expect("a URL");
    let documents = neuroglia_backing::documents::connect(&url, None, Clock::system(), Ids::random());
    documents.expect("it is read by HTTP").get(&url).await
}

#[tokio::test]
async fn a_document_is_read_whatever_it_is_served_as_and_nothing_else_is_taken_for_one() {
    let port = published().await;
    assert_eq!(read(port, "keys").await.expect("a document"), json!({ "asked": null }));
    assert_eq!(read(port, "keys?p=a%20b#c").await.expect("a document"), json!({ "asked": "p=a+b" }));
    for place in ["moved", "page", "huge", "ill", "none"] {
        let error = read(port, place).await.expect_err(place);
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{place}: {error:?}");
    }
    let file = "file:///etc/keys.json".parse().expect("a URL");
    let error = neuroglia_backing::documents::connect(&file, None, Clock::system(), Ids::random()).map(drop);
    assert!(error.expect_err("nobody publishes so").to_string().contains("use https:"));
}

#[tokio::test]
async fn whoever_does_not_answer_is_not_waited_for() {
    let strait = Strait::to(published().await);
    for weather in [Weather::Closed, Weather::Silent, Weather::HalfOpen] {
        strait.turn(weather);
        let began = Instant::now();
        read(strait.port(), "keys").await.expect_err("nobody answers");
        assert!(began.elapsed() < Duration::from_secs(8), "{weather:?}: {:?}", began.elapsed());
    }
    strait.turn(Weather::Fair);
    read(strait.port(), "keys").await.expect("a document");
}

/// What reads documents at this URL, whose parameter is the file of its authority.
fn trusting(url: &str) -> Result<(Arc<dyn Documents>, Url)> {
    let mut url: Url = url.parse().expect("a URL");
    let authority = url.query_pairs().next().map(|(_, file)| file.into_owned());
    url.set_query(None);
    let authority = authority.as_deref().map(Path::new);
    neuroglia_backing::documents::connect(&url, authority, Clock::system(), Ids::random())
        .map(|documents| (documents, url))
}

#[tokio::test]
async fn a_certificate_is_verified_up_to_the_name_of_the_host() {
    let server = Encrypted::before(published().await).await;
    let talk = async |url: &str| {
        let (documents, url) = trusting(url)?;
        assert_eq!(documents.get(&url.join("/keys").expect("a path")).await?, json!({ "asked": null }));
        Ok(())
    };
    assert_certificate_is_verified(server.port(), &server.authority(), ["https", "http"], talk).await;
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_is_refused() {
    assert_authorities_are_read("https", trusting);
}
