//! The exposition, as a scraper reads it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use neuroglia::meter::{Meter, Reading};
use neuroglia::metrics::Metrics;

/// The samples of an exposition by name and labels, after a check that it keeps the rules of OpenMetrics.
fn parse(exposition: &str) -> BTreeMap<String, f64> {
    let body = exposition.strip_suffix("# EOF\n").expect("the end is marked");
    let mut types: BTreeMap<&str, &str> = BTreeMap::new();
    let mut samples = BTreeMap::new();
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (keyword, family, rest) = (words.next(), words.next(), words.next());
            assert!(matches!(keyword, Some("HELP" | "TYPE" | "UNIT")), "{line}");
            if keyword == Some("TYPE") {
                let known = types.insert(family.expect("a family"), rest.expect("a type"));
                assert_eq!(known, None, "each family is described once: {line}");
            }
            continue;
        }
        let (key, value) = line.rsplit_once(' ').expect("a sample has a value");
        let name = key.split('{').next().expect("a name");
        let described = types.iter().any(|(family, kind)| {
            let suffix = name.strip_prefix(family);
            match *kind {
                "counter" => suffix == Some("_total"),
                "histogram" => matches!(suffix, Some("_sum" | "_count" | "_bucket")),
                "info" => suffix == Some("_info"),
                _ => suffix == Some(""),
            }
        });
        assert!(described, "a sample belongs to a family: {line}");
        let known = samples.insert(key.to_owned(), value.parse::<f64>().expect("a number"));
        assert_eq!(known, None, "each sample is there once: {line}");
    }
    samples
}

fn metrics() -> Metrics {
    Metrics::new("pizzeria", "1.4.0", Some("42-\"1f3a\""))
}

#[test]
fn the_exposition_keeps_the_rules_from_the_start() {
    let samples = parse(&metrics().expose());
    let build = samples.keys().find(|key| key.starts_with("build_info")).expect("the build");
    assert_eq!(build, r#"build_info{application="pizzeria",version="1.4.0",release="42-\"1f3a\""}"#);
    assert_eq!(samples["http_server_active_requests"], 0.0);
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_is_described() {
    let samples = parse(&metrics().expose());
    for (name, least) in [
        ("process_cpu_seconds_total", 0.0),
        ("process_resident_memory_bytes", 100_000.0),
        ("process_open_fds", 3.0),
        ("process_max_fds", 16.0),
        ("process_threads", 1.0),
        ("process_start_time_seconds", 1.7e9),
    ] {
        assert!(samples[name] >= least, "{name}: {}", samples[name]);
    }
}

#[test]
fn requests_are_counted_by_template_method_and_class() {
    let metrics = metrics();
    for millis in [3, 30, 300] {
        metrics.request(&Method::GET, Some("/pizzas/{id}"), StatusCode::OK, Duration::from_millis(millis));
    }
    metrics.request(&Method::GET, Some("/pizzas/{id}"), StatusCode::NOT_FOUND, Duration::from_secs(60));
    metrics.request(&Method::POST, None, StatusCode::NOT_FOUND, Duration::ZERO);

    let samples = parse(&metrics.expose());
    let name = "http_server_request_duration_seconds";
    let ok = r#"method="GET",route="/pizzas/{id}",status="2xx""#;
    assert_eq!(samples[&format!("{name}_count{{{ok}}}")], 3.0);
    assert!((samples[&format!("{name}_sum{{{ok}}}")] - 0.333).abs() < 1e-9);
    for (bound, count) in [("0.0025", 0.0), ("0.005", 1.0), ("0.05", 2.0), ("0.5", 3.0), ("+Inf", 3.0)] {
        assert_eq!(samples[&format!(r#"{name}_bucket{{le="{bound}",{ok}}}"#)], count, "{bound}");
    }
    let missing = r#"method="GET",route="/pizzas/{id}",status="4xx""#;
    assert_eq!(samples[&format!(r#"{name}_bucket{{le="30.0",{missing}}}"#)], 0.0);
    assert_eq!(samples[&format!(r#"{name}_bucket{{le="+Inf",{missing}}}"#)], 1.0);
    assert_eq!(samples[&format!(r#"{name}_count{{method="POST",route="unmatched",status="4xx"}}"#)], 1.0);
}

#[test]
fn what_a_stranger_sends_is_not_a_label() {
    let metrics = metrics();
    for method in ["BREW", "PROPFIND", "X\u{7f}".trim_end_matches('\u{7f}')] {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        metrics.request(&method, None, StatusCode::NOT_IMPLEMENTED, Duration::ZERO);
    }
    metrics.request(&Method::GET, None, StatusCode::from_u16(999).expect("a status"), Duration::ZERO);
    let samples = parse(&metrics.expose());
    let counts: Vec<_> = samples.keys().filter(|key| key.contains("_count")).collect();
    assert_eq!(
        counts,
        [
            r#"http_server_request_duration_seconds_count{method="GET",route="unmatched",status="5xx"}"#,
            r#"http_server_request_duration_seconds_count{method="other",route="unmatched",status="5xx"}"#,
        ]
    );
}

#[test]
fn an_application_that_invents_routes_does_not_fill_the_memory() {
    let metrics = metrics();
    for index in 0..3_000 {
        metrics.request(&Method::GET, Some(&format!("/{index}")), StatusCode::OK, Duration::ZERO);
    }
    let samples = parse(&metrics.expose());
    assert_eq!(samples.keys().filter(|key| key.contains("_count")).count(), 2_001);
    assert_eq!(
        samples[r#"http_server_request_duration_seconds_count{method="GET",route="other",status="2xx"}"#],
        1_000.0
    );
}

#[test]
fn active_requests_are_those_that_have_not_ended() {
    let metrics = metrics();
    let (first, second) = (metrics.active_request(), metrics.active_request());
    assert_eq!(parse(&metrics.expose())["http_server_active_requests"], 2.0);
    drop(first);
    assert_eq!(parse(&metrics.expose())["http_server_active_requests"], 1.0);
    drop(second);
    assert_eq!(parse(&metrics.expose())["http_server_active_requests"], 0.0);
}

#[test]
fn an_application_shows_numbers_of_its_own() {
    let metrics = metrics();
    let open = Arc::new(AtomicI64::new(5));
    let read = Arc::clone(&open);
    metrics.gauge("http_server_open_connections", "Connections that are open", move || {
        read.load(Ordering::SeqCst)
    });
    metrics.counter("log_lines_lost", "Log lines that could not be written", || 7);
    metrics.counter("log_lines_lost", "A second family of the same name", || 8);

    open.store(6, Ordering::SeqCst);
    let samples = parse(&metrics.expose());
    assert_eq!(samples["http_server_open_connections"], 6.0);
    assert_eq!(samples["log_lines_lost_total"], 7.0);
}

#[test]
fn two_applications_in_a_process_do_not_see_each_other() {
    let (one, other) = (metrics(), metrics());
    one.request(&Method::GET, Some("/pizzas"), StatusCode::OK, Duration::ZERO);
    one.counter("orders", "Orders", || 1);
    let samples = parse(&other.expose());
    assert!(!samples.keys().any(|key| key.contains("/pizzas") || key.contains("orders")));
}

#[test]
fn requests_are_counted_from_many_threads() {
    let metrics = metrics();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    metrics.request(
                        &Method::GET,
                        Some("/pizzas"),
                        StatusCode::OK,
                        Duration::from_micros(100),
                    );
                }
            });
        }
    });
    let samples = parse(&metrics.expose());
    assert_eq!(
        samples[r#"http_server_request_duration_seconds_count{method="GET",route="/pizzas",status="2xx"}"#],
        4_000.0
    );
}

#[test]
fn an_application_shows_a_number_for_each_value_of_a_label() {
    let metrics = metrics();
    let waits = || vec![("default".to_owned(), 3), ("mail".to_owned(), 5)];
    metrics.gauges("work_waiting", "What waits in each queue", "queue", waits);
    let samples = parse(&metrics.expose());
    assert_eq!(samples[r#"work_waiting{queue="default"}"#], 3.0);
    assert_eq!(samples[r#"work_waiting{queue="mail"}"#], 5.0);
    metrics.counters("pizzas", "Pizzas that left an oven", "oven", || vec![("gas".to_owned(), 7)]);
    assert_eq!(parse(&metrics.expose())[r#"pizzas_total{oven="gas"}"#], 7.0);
}

#[test]
fn what_meters_read_is_shown_by_family() {
    struct Oven(&'static str);
    impl Meter for Oven {
        fn read(&self) -> Vec<Reading> {
            vec![
                Reading::counter("oven_pizzas", "Pizzas that left the oven", 3).of("oven", self.0),
                Reading::gauge("oven_heat_celsius", "How hot it is", -7).of("oven", self.0),
            ]
        }
    }
    let metrics = metrics();
    metrics.meters(vec![Arc::new(Oven("stone")), Arc::new(Oven("gas"))]);
    let samples = parse(&metrics.expose());
    for oven in ["stone", "gas"] {
        assert_eq!(samples[&format!("oven_pizzas_total{{oven=\"{oven}\"}}")], 3.0);
        assert_eq!(samples[&format!("oven_heat_celsius{{oven=\"{oven}\"}}")], -7.0);
    }
}
