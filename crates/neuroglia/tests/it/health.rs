//! The probes, as an orchestrator and as a stranger see them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use futures_util::future::join_all;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use neuroglia::health::{Details, Health, Indicator, Readiness, is_probe};
use neuroglia_core::clock::{Clock, Timestamp};
use neuroglia_core::error::{Error, Result};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tower::ServiceExt;

/// A resource that does what it is told.
#[derive(Clone, Default)]
struct Resource {
    away: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    takes: Duration,
    optional: bool,
}

#[async_trait::async_trait]
impl Indicator for Resource {
    fn name(&self) -> &str {
        "orders-db"
    }

    fn kind(&self) -> &str {
        "sqlite"
    }

    fn required(&self) -> bool {
        !self.optional
    }

    async fn check(&self) -> Result<Details> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        sleep(self.takes).await;
        if self.away.load(Ordering::SeqCst) {
            return Err(Error::unavailable("postgres://user:hunter2@db/orders is away"));
        }
        Ok(Details::new().with("migration", 3))
    }
}

fn starting(resource: &Resource) -> Health {
    let clock = Clock::manual(Timestamp::from_unix_micros(1_800_000_000_000_000));
    let health = Health::new(Arc::new(clock));
    health.add(resource.clone());
    health
}

fn started(resource: &Resource) -> Health {
    let health = starting(resource);
    health.ready();
    health
}

async fn request(health: &Health, method: Method, path: &str) -> Response<Body> {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
    health.router().oneshot(request).await.expect("an answer")
}

async fn get(health: &Health, path: &str) -> (StatusCode, Value) {
    let response = request(health, Method::GET, path).await;
    let status = response.status();
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    let media_type = if status.is_success() { "application/json" } else { "application/problem+json" };
    assert_eq!(response.headers()[header::CONTENT_TYPE], media_type);
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, serde_json::from_slice(&body).expect("JSON"))
}

async fn statuses(health: &Health) -> [u16; 4] {
    let mut statuses = [0; 4];
    for (status, path) in
        statuses.iter_mut().zip(["/health", "/health/startup", "/health/live", "/health/ready"])
    {
        *status = get(health, path).await.0.as_u16();
    }
    statuses
}

#[tokio::test(start_paused = true)]
async fn each_probe_follows_the_life_of_the_process() {
    let resource = Resource::default();
    let health = starting(&resource);
    assert_eq!(statuses(&health).await, [503, 503, 200, 503]);
    health.ready();
    assert_eq!(statuses(&health).await, [200, 200, 200, 200]);
    health.draining();
    assert_eq!(statuses(&health).await, [503, 200, 200, 503]);
    health.ready();
    assert_eq!(statuses(&health).await, [503, 200, 200, 503], "a drain is not taken back");
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_is_away_ends_readiness_and_not_life() {
    let resource = Resource::default();
    resource.away.store(true, Ordering::SeqCst);
    let health = started(&resource);
    assert_eq!(statuses(&health).await, [503, 200, 200, 503]);

    resource.away.store(false, Ordering::SeqCst);
    sleep(Health::CACHE_AGE_MAX).await;
    assert_eq!(statuses(&health).await, [200, 200, 200, 200]);
}

#[tokio::test(start_paused = true)]
async fn liveness_and_startup_touch_nothing_outside() {
    let resource = Resource { takes: Duration::from_secs(3600), ..Resource::default() };
    let health = started(&resource);
    assert_eq!(get(&health, "/health/live").await.0, StatusCode::OK);
    assert_eq!(get(&health, "/health/startup").await.0, StatusCode::OK);
    assert_eq!(resource.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn strangers_are_told_whether_and_not_why() {
    let resource = Resource::default();
    let health = started(&resource);
    let (_, overall) = get(&health, "/health").await;
    assert_eq!(overall, json!({"status": "healthy", "timestamp": "2027-01-15T08:00:00.000000Z"}));
    assert_eq!(get(&health, "/health/ready").await.1, json!({"status": "ready"}));
    assert_eq!(get(&health, "/health/live").await.1, json!({"status": "alive"}));

    resource.away.store(true, Ordering::SeqCst);
    sleep(Health::CACHE_AGE_MAX).await;
    let unavailable = json!({
        "type": "about:blank", "title": "Service Unavailable", "status": 503,
        "detail": "unavailable", "code": "health.unavailable",
    });
    assert_eq!(get(&health, "/health/ready").await.1, unavailable);
    assert_eq!(get(&health, "/health").await.1, unavailable);

    health.draining();
    assert_eq!(get(&health, "/health/ready").await.1["detail"], "draining");
}

#[tokio::test(start_paused = true)]
async fn a_hundred_probes_at_once_ask_a_resource_once() {
    let resource = Resource { takes: Duration::from_millis(100), ..Resource::default() };
    let health = started(&resource);
    let answers = join_all((0..100).map(|_| get(&health, "/health/ready"))).await;
    assert!(answers.iter().all(|(status, _)| *status == StatusCode::OK));
    assert_eq!(resource.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_given_again_for_a_second() {
    let resource = Resource::default();
    let health = started(&resource);
    get(&health, "/health/ready").await;
    sleep(Health::CACHE_AGE_MAX - Duration::from_millis(1)).await;
    get(&health, "/health").await;
    assert_eq!(resource.asked.load(Ordering::SeqCst), 1);
    sleep(Duration::from_millis(1)).await;
    get(&health, "/health/ready").await;
    assert_eq!(resource.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_hangs_holds_a_probe_for_a_second_at_most() {
    let resource = Resource { takes: Duration::from_secs(3600), ..Resource::default() };
    let health = started(&resource);
    let begun = Instant::now();
    let answers = join_all((0..20).map(|_| get(&health, "/health/ready"))).await;
    assert!(answers.iter().all(|(status, _)| *status == StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(begun.elapsed(), Health::CHECK_TIMEOUT);
    let Readiness::Unavailable(report) = health.readiness().await else { panic!("the resource hangs") };
    assert_eq!(report.checks[0].error.as_deref(), Some("timeout"));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_up_does_not_end_the_check_of_the_others() {
    let resource = Resource { takes: Duration::from_millis(500), ..Resource::default() };
    let health = started(&resource);
    let impatient = tokio::time::timeout(Duration::from_millis(100), get(&health, "/health/ready")).await;
    assert!(impatient.is_err());
    assert_eq!(get(&health, "/health/ready").await.0, StatusCode::OK);
    assert_eq!(resource.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_is_not_required_does_not_end_readiness() {
    let resource = Resource { optional: true, ..Resource::default() };
    resource.away.store(true, Ordering::SeqCst);
    let health = started(&resource);
    assert_eq!(statuses(&health).await, [200, 200, 200, 200]);
    let Readiness::Ready(report) = health.readiness().await else { panic!("it is not required") };
    assert_eq!(report.checks[0].error.as_deref(), Some("service.unavailable"));
}

struct Clumsy;

#[async_trait::async_trait]
impl Indicator for Clumsy {
    fn name(&self) -> &str {
        "clumsy"
    }

    fn kind(&self) -> &str {
        "test"
    }

    async fn check(&self) -> Result<Details> {
        panic!("this indicator panics")
    }
}

#[tokio::test(start_paused = true)]
async fn an_indicator_that_panics_has_failed() {
    let health = started(&Resource::default());
    health.add(Clumsy);
    let Readiness::Unavailable(report) = health.readiness().await else { panic!("one of two has failed") };
    assert_eq!(report.checks[0].error, None);
    assert_eq!(report.checks[1].error.as_deref(), Some("panic"));
}

#[tokio::test(start_paused = true)]
async fn probes_are_read_and_nothing_else() {
    let health = started(&Resource::default());
    let head = request(&health, Method::HEAD, "/health/ready").await;
    assert_eq!(head.status(), StatusCode::OK);
    assert!(head.into_body().collect().await.expect("a body").to_bytes().is_empty());

    let post = request(&health, Method::POST, "/health/ready").await;
    assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(post.headers()[header::ALLOW], "GET,HEAD");
}

#[test]
fn probes_are_told_apart_from_requests() {
    assert!(["/health", "/health/live", "/health/ready", "/health/startup"].into_iter().all(is_probe));
    assert!(!["/healthy", "/health/", "/api/v1/health", "/"].into_iter().any(is_probe));
}
