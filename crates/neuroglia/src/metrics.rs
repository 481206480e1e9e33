//! What an application counts about itself, in the text format of OpenMetrics.
//!
//! Each application has its own [`Metrics`]; nothing is global, so that two in one process do not add up. What the
//! framework counts is there from the start; an application adds what it wants to see by giving a function that
//! reads a number it keeps anyway, or by registering a [`Meter`].
//!
//! | family | what |
//! |---|---|
//! | `http_server_request_duration_seconds` | requests by `method`, `route` (the template) and `status` (`2xx`) |
//! | `http_server_active_requests` | requests that are being answered |
//! | `hosted_service_restarts_total` | how often a hosted service ran again after it had failed, by `service`, its name |
//! | `process_…` | memory, processor time, open files, threads, start time |
//! | `build_info` | what is running: application, version and release id, as labels |
//!
//! # Design notes
//! * **Labels are bounded**: the route's template and not the path, the class of a status, the standard methods.
//!   What a stranger sends never becomes a label.
//! * **A request costs two relaxed atomic additions** and one look-up; see [`Metrics::request`].
//! * **Numbers are read when somebody asks**: a scrape, not a timer, looks at `/proc` and calls the functions.

mod http;
mod meters;
mod observed;
mod process;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ::http::{Method, StatusCode};
use neuroglia_core::meter::Meter;
use prometheus_client::encoding::text;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use http::ActiveRequest;
pub use observed::Distribution;

use http::HttpServer;
use meters::Meters;
use observed::{Observed, Reading};
use process::Process;

/// The metrics of one application; clones share them.
///
/// ```
/// use std::time::Duration;
/// use http::{Method, StatusCode};
/// use neuroglia::metrics::Metrics;
///
/// let metrics = Metrics::new("pizzeria", "1.4.0", Some("42-1f3a9c"));
/// metrics.request(&Method::GET, Some("/pizzas/{id}"), StatusCode::OK, Duration::from_millis(3));
///
/// let text = metrics.expose();
/// assert!(text.contains(r#"build_info{application="pizzeria",version="1.4.0",release="42-1f3a9c"} 1"#));
/// assert!(text.contains(r#"route="/pizzas/{id}",status="2xx""#));
/// ```
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    http: Arc<HttpServer>,
    registered: RwLock<Registered>,
}

struct Registered {
    registry: Registry,
    names: BTreeSet<String>,
}

impl Metrics {
    /// The media type of [`expose`](Self::expose).
    pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Metrics of an application, with nothing counted yet.
    pub fn new(application: &str, version: &str, release: Option<&str>) -> Self {
        let http = Arc::new(HttpServer::default());
        let labels = [("application", Some(application)), ("version", Some(version)), ("release", release)];
        let labels = labels.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned())));
        let build = Info::new(labels.collect::<Vec<_>>());
        let mut registry = Registry::default();
        registry.register("build", "What is running", build);
        registry.register_collector(Box::new(Arc::clone(&http)));
        registry.register_collector(Box::new(Process::this()));
        Self(Arc::new(Inner {
            http,
            registered: RwLock::new(Registered { registry, names: BTreeSet::new() }),
        }))
    }

    /// Counts a request that was answered. `route` is the template that matched, or none when nothing did.
    pub fn request(&self, method: &Method, route: Option<&str>, status: StatusCode, duration: Duration) {
        self.0.http.observe(method, route, status, duration);
    }

    /// Counts a request that is being answered, until the guard is dropped.
    pub fn active_request(&self) -> ActiveRequest {
        HttpServer::begin(&self.0.http)
    }

    /// Shows a number that goes up and down, such as the open connections, as a family of this name.
    pub fn gauge(&self, name: &str, help: &str, read: impl Fn() -> i64 + Send + Sync + 'static) {
        self.register(name, help, Reading::Gauge(Box::new(read)));
    }

    /// Shows a number for each value of a label, such as what waits in each queue, as a family of this name. The
    /// values must be few, and none of a stranger's making.
    pub fn gauges(
        &self,
        name: &str,
        help: &str,
        label: &'static str,
        read: impl Fn() -> Vec<(String, i64)> + Send + Sync + 'static,
    ) {
        self.register(name, help, Reading::Gauges(label, Box::new(read)));
    }

    /// Shows a number that only grows, such as the log lines lost, as a family of this name with `_total` at the
    /// end of its samples.
    pub fn counter(&self, name: &str, help: &str, read: impl Fn() -> u64 + Send + Sync + 'static) {
        self.register(name, help, Reading::Counter(Box::new(read)));
    }

    /// Shows a number that only grows for each value of a label, such as the restarts of each service, as
    /// [`counter`](Self::counter) does. The values must be few, and none of a stranger's making.
    pub fn counters(
        &self,
        name: &str,
        help: &str,
        label: &'static str,
        read: impl Fn() -> Vec<(String, u64)> + Send + Sync + 'static,
    ) {
        self.register(name, help, Reading::Counters(label, Box::new(read)));
    }

    /// Shows how numbers are distributed, such as the time that a server takes, as a family of this name.
    pub fn histogram(&self, name: &str, help: &str, read: impl Fn() -> Distribution + Send + Sync + 'static) {
        self.register(name, help, Reading::Histogram(Box::new(read)));
    }

    /// Shows what these meters read. All at once, because several may have readings of one family.
    pub fn meters(&self, meters: Vec<Arc<dyn Meter>>) {
        let mut registered = self.0.registered.write().unwrap_or_else(PoisonError::into_inner);
        registered.registry.register_collector(Box::new(Meters(meters)));
    }

    /// Everything as text, of the type [`CONTENT_TYPE`](Self::CONTENT_TYPE).
    pub fn expose(&self) -> String {
        let registered = self.0.registered.read().unwrap_or_else(PoisonError::into_inner);
        let mut exposition = String::with_capacity(8 * 1024);
        text::encode(&mut exposition, &registered.registry).expect("writing to a string does not fail");
        exposition
    }

    fn register(&self, name: &str, help: &str, reading: Reading) {
        let mut registered = self.0.registered.write().unwrap_or_else(PoisonError::into_inner);
        // A family that is there twice would make the whole exposition invalid.
        if registered.names.insert(name.to_owned()) {
            registered.registry.register(name, help, Observed(reading));
        } else {
            tracing::error!(
                metric.name = name,
                "a metric of this name is there already; the second one is not shown"
            );
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
