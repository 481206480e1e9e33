//! The requests of the web server, by method, route and class of status.
//!
//! The table has a row for each route and, within it, a place for each method and class, so that counting a request
//! is one look-up by the template and two additions. `prometheus_client`'s own families would build a set of
//! labels for each request and lock each histogram.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// The upper bounds of the buckets: from what an answer out of memory takes to the request time-out.
const BOUNDS: [Duration; 15] = [
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

/// The methods that have a label of their own; the last stands for all others.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The route of requests that matched none. A template begins with a slash, so that it cannot be mixed up.
const UNMATCHED: &str = "unmatched";

/// How many routes have a row of their own, against an application that makes up templates as it goes.
const ROUTES_MAX: usize = 2_000;
const BEYOND: &str = "other";

#[derive(Default)]
pub(super) struct HttpServer {
    routes: RwLock<HashMap<Box<str>, Box<Row>>>,
    active: AtomicI64,
}

/// The histograms of one route, each made when it is first needed.
#[derive(Default)]
struct Row([[OnceLock<Box<Histogram>>; CLASSES.len()]; METHODS.len()]);

/// Durations by bucket, the last of which has no bound.
#[derive(Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum_ns: AtomicU64,
}

/// A request that is being answered; dropping it ends it.
#[must_use = "the request counts as active until this is dropped"]
pub struct ActiveRequest(Arc<HttpServer>);

impl HttpServer {
    pub(super) fn begin(server: &Arc<Self>) -> ActiveRequest {
        server.active.fetch_add(1, Ordering::Relaxed);
        ActiveRequest(Arc::clone(server))
    }

    pub(super) fn observe(
        &self,
        method: &Method,
        route: Option<&str>,
        status: StatusCode,
        duration: Duration,
    ) {
        let route = route.unwrap_or(UNMATCHED);
        let observe = |row: &Row| row.histogram(method, status).observe(duration);
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = routes.get(route) {
            return observe(row);
        }
        drop(routes);
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let route = if routes.len() < ROUTES_MAX { route } else { BEYOND };
        observe(routes.entry(route.into()).or_default());
    }
}

impl Row {
    fn histogram(&self, method: &Method, status: StatusCode) -> &Histogram {
        let method = match *method {
            Method::GET => 0,
            Method::HEAD => 1,
            Method::POST => 2,
            Method::PUT => 3,
            Method::PATCH => 4,
            Method::DELETE => 5,
            Method::OPTIONS => 6,
            _ => METHODS.len() - 1,
        };
        // A status has three digits, but its first may be more than five.
        let class = (usize::from(status.as_u16() / 100) - 1).min(CLASSES.len() - 1);
        self.0[method][class].get_or_init(Box::default)
    }

    fn histograms(&self) -> impl Iterator<Item = (&'static str, &'static str, &Histogram)> {
        METHODS.into_iter().zip(&self.0).flat_map(|(method, classes)| {
            let classes = CLASSES.into_iter().zip(classes);
            classes.filter_map(move |(class, histogram)| Some((method, class, &**histogram.get()?)))
        })
    }
}

impl Histogram {
    fn observe(&self, duration: Duration) {
        let bucket = BOUNDS.iter().position(|bound| duration <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.sum_ns.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The buckets with their bounds in seconds.
    fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS.iter().map(Duration::as_secs_f64).chain([f64::INFINITY]);
        bounds.zip(self.buckets.iter().map(|count| count.load(Ordering::Relaxed))).collect()
    }
}

impl Collector for HttpServer {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        encoder
            .encode_descriptor(
                "http_server_active_requests",
                "Requests that are being answered.",
                None,
                MetricType::Gauge,
            )?
            .encode_gauge(&self.active.load(Ordering::Relaxed))?;
        let mut family = encoder.encode_descriptor(
            "http_server_request_duration",
            "Time from the head of a request to the head of its answer.",
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        for (route, row) in routes.iter() {
            for (method, status, histogram) in row.histograms() {
                let buckets = histogram.buckets();
                // The sum of what was read, so that the count agrees with the buckets.
                let count = buckets.iter().map(|(_, count)| count).sum();
                let sum = histogram.sum_ns.load(Ordering::Relaxed) as f64 / 1e9;
                family
                    .encode_family(&[("method", method), ("route", route), ("status", status)])?
                    .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
            }
        }
        Ok(())
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for ActiveRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ActiveRequest")
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer").field("active", &self.active).finish_non_exhaustive()
    }
}
