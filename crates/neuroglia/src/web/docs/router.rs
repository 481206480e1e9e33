//! The routes of the documentation.

use std::sync::Arc;

use axum::Router;
use axum::response::Redirect;
use axum::routing::{MethodRouter, get};
use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;

use super::asset::Asset;

const DOCUMENT: &str = "/openapi.json";
const PAGE: &str = "/docs";
const PAGE_ASKED_OTHERWISE: &str = "/docs/";
const START: &str = "/docs/start.js";
const BUNDLE: &str = concat!("/docs/", include_str!("vendor/VERSION"), "/swagger-ui-bundle.js");
const STYLE: &str = concat!("/docs/", include_str!("vendor/VERSION"), "/swagger-ui.css");

/// Every path of the documentation.
pub(crate) const PATHS: [&str; 6] = [DOCUMENT, PAGE, PAGE_ASKED_OTHERWISE, START, BUNDLE, STYLE];

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// Only what comes from this server runs or is shown, and nobody may frame it.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// `/openapi.json` with this document, and `/docs`, which shows it under this title. The document is made when somebody
/// first asks for it, so that a start does not pay for it. Should that panic, `/openapi.json` is an answer of 500 from then
/// on; the command `openapi` shows it before.
///
/// ```
/// use neuroglia::web::docs;
/// use serde_json::json;
///
/// let router: axum::Router = docs::router("Mario's Pizzeria", || json!({"openapi": "3.1.1"}));
/// ```
pub fn router(title: &str, document: impl FnOnce() -> Value + Send + 'static) -> Router {
    let document = Asset::current("application/json", || document().to_string());
    let page = page(title);
    let page = Asset::current("text/html; charset=utf-8", || page);
    let start = Asset::current(JAVASCRIPT, || include_str!("start.js"));
    let bundle = Asset::vendored(JAVASCRIPT, include_bytes!("vendor/swagger-ui-bundle.js.gz"));
    let style = Asset::vendored("text/css; charset=utf-8", include_bytes!("vendor/swagger-ui.css.gz"));
    Router::new()
        .route(DOCUMENT, served(document))
        .route(PAGE, served_page(page))
        .route(PAGE_ASKED_OTHERWISE, get(async || Redirect::permanent(PAGE)))
        .route(START, served(start))
        .route(BUNDLE, served(bundle))
        .route(STYLE, served(style))
}

fn served(asset: Asset) -> MethodRouter {
    let asset = Arc::new(asset);
    get(async move |headers: HeaderMap| asset.respond(&headers))
}

fn served_page(asset: Asset) -> MethodRouter {
    let asset = Arc::new(asset);
    get(async move |headers: HeaderMap| {
        let mut response = asset.respond(&headers);
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
        response
    })
}

fn page(title: &str) -> String {
    const TEMPLATE: &str = include_str!("page.html");
    TEMPLATE.replace("{version}", include_str!("vendor/VERSION")).replace("{title}", &escaped(title))
}

/// The text as HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, Bytes};
    use axum::response::Response;
    use http::{Request, StatusCode};
    use http_body_util::BodyExt;
    use serde_json::json;
    use std::io::Read;
    use tower::ServiceExt;

    async fn fetch(path: &str, gzip: bool) -> (Response<()>, Bytes) {
        let mut request = Request::get(path);
        if gzip {
            request = request.header(header::ACCEPT_ENCODING, "gzip");
        }
        let router = router("Fish & <Chips>", || json!({"openapi": "3.1.1"}));
        let request = request.body(Body::empty()).expect("a request");
        let response = router.oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        (Response::from_parts(parts, ()), body.collect().await.expect("in memory").to_bytes())
    }

    fn inflated(gzip: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(gzip).read_to_end(&mut plain).expect("gzip");
        plain
    }

    #[tokio::test]
    async fn the_document_is_sent_compressed_and_plain_with_one_tag() {
        let (compressed, gzip) = fetch("/openapi.json", true).await;
        let (plain, bytes) = fetch("/openapi.json", false).await;
        assert_eq!(compressed.headers()[header::CONTENT_ENCODING], "gzip");
        assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
        assert_eq!(inflated(&gzip), bytes);
        assert_eq!(bytes, r#"{"openapi":"3.1.1"}"#);
        assert_eq!(compressed.headers()[header::ETAG], plain.headers()[header::ETAG]);
        assert_eq!(plain.headers()[header::VARY], "accept-encoding");
    }

    #[tokio::test]
    async fn everything_that_the_page_loads_is_there_and_none_of_it_is_elsewhere() {
        let (head, page) = fetch("/docs", false).await;
        let policy = head.headers()[header::CONTENT_SECURITY_POLICY].to_str().expect("ASCII");
        assert!(policy.contains("script-src 'self';"), "{policy}");
        let page = std::str::from_utf8(&page).expect("UTF-8");
        assert!(page.contains("<title>Fish &amp; &lt;Chips&gt;</title>"), "{page}");
        let loaded: Vec<&str> = ["src=\"", "href=\""]
            .iter()
            .flat_map(|attribute| page.split(attribute).skip(1))
            .filter_map(|rest| rest.split('"').next())
            .filter(|target| !target.starts_with("data:"))
            .collect();
        assert_eq!(loaded.len(), 4, "{loaded:?}");
        for target in loaded {
            let (plain, bytes) = fetch(target, false).await;
            let (_, gzip) = fetch(target, true).await;
            assert_eq!(plain.status(), StatusCode::OK, "{target}");
            assert_eq!(inflated(&gzip), bytes, "{target}");
            let kept = plain.headers()[header::CACHE_CONTROL].to_str().expect("ASCII").contains("immutable");
            assert_eq!(kept, target.contains("swagger-ui"), "{target}");
        }
    }

    #[test]
    fn what_is_embedded_stays_small() {
        let bundle = include_bytes!("vendor/swagger-ui-bundle.js.gz").len();
        let style = include_bytes!("vendor/swagger-ui.css.gz").len();
        assert!(bundle + style < 600_000, "{bundle} + {style}");
    }
}
