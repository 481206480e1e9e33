//! The four paths that probes ask.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::answer::document;
use super::{Health, Readiness, Report, Stage};
use crate::web::Problem;

const OVERALL: &str = "/health";
const LIVE: &str = "/health/live";
const READY: &str = "/health/ready";
const STARTUP: &str = "/health/startup";

/// The paths that probes ask.
pub(crate) const PROBES: [&str; 4] = [OVERALL, LIVE, READY, STARTUP];

/// Whether a path is one that probes ask, several times a minute and for ever: such requests are no news.
pub fn is_probe(path: &str) -> bool {
    PROBES.contains(&path)
}

/// Who reads the answers.
#[derive(Clone, Copy)]
pub(super) enum Audience {
    /// Anybody: whether, but not why.
    Strangers,
    /// Those who have to mend it.
    Operators,
}

pub(super) fn router(health: Health, audience: Audience) -> Router {
    Router::new()
        .route(OVERALL, get(overall))
        .route(LIVE, get(async || document(&json!({ "status": "alive" }))))
        .route(READY, get(ready))
        .route(STARTUP, get(startup))
        .with_state((health, audience))
}

type Asked = State<(Health, Audience)>;

/// The document that the reference's `/health` gives, for whoever has not heard of the other three.
async fn overall(State((health, audience)): Asked) -> Response<Body> {
    let readiness = health.readiness().await;
    let timestamp = health.clock().now();
    answer(&readiness, audience, |report| {
        let status = match audience {
            Audience::Operators if !report.is_complete() => "degraded",
            _ => "healthy",
        };
        json!({ "status": status, "timestamp": timestamp })
    })
}

async fn ready(State((health, audience)): Asked) -> Response<Body> {
    answer(&health.readiness().await, audience, |_| json!({ "status": "ready" }))
}

async fn startup(State((health, _)): Asked) -> Response<Body> {
    match health.stage() {
        Stage::Starting => unavailable("health.starting", "starting", Map::new()),
        Stage::Started | Stage::Draining => document(&json!({ "status": "started" })),
    }
}

fn answer(readiness: &Readiness, audience: Audience, good: impl FnOnce(&Report) -> Value) -> Response<Body> {
    match readiness {
        Readiness::Starting => unavailable("health.starting", "starting", Map::new()),
        Readiness::Draining => unavailable("health.draining", "draining", Map::new()),
        Readiness::Unavailable(report) => {
            unavailable("health.unavailable", "unavailable", audience.details(report))
        }
        Readiness::Ready(report) => {
            let mut content = good(report);
            if let Value::Object(content) = &mut content {
                content.extend(audience.details(report));
            }
            document(&content)
        }
    }
}

fn unavailable(code: &'static str, detail: &'static str, details: Map<String, Value>) -> Response<Body> {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).with_members(details).into_response()
}

impl Audience {
    /// What may be read of a report beyond its sum.
    fn details(self, report: &Report) -> Map<String, Value> {
        match self {
            Self::Strangers => Map::new(),
            Self::Operators => Map::from_iter([
                ("checked_at".to_owned(), json!(report.checked_at)),
                ("checks".to_owned(), json!(report.checks)),
            ]),
        }
    }
}
