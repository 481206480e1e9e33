//! The client of services, when the service is ill: bounded, given up early, and well again by itself.

use std::error::Error as _;
use std::time::Duration;

use neuroglia::clock::Clock;
use neuroglia::error::{Error, ErrorKind};
use neuroglia::id::Ids;
use neuroglia_backing::http::{ServiceClient, ServiceError, ServiceOptions};
use neuroglia_testing::{Strait, Weather};
use serde_json::json;
use tokio::time::{Instant, interval, timeout};

use crate::service::{Say, Service};

/// How long a call may take, and how much longer it is given on a busy machine.
const LIMIT: Duration = Duration::from_millis(600);
const SLACK: Duration = Duration::from_secs(5);

fn well() -> Say {
    Say::json(200, json!({}))
}

fn client_of(port: u16, open_for: Duration) -> ServiceClient {
    let url = format!("http://127.0.0.1:{port}").parse().expect("a URL");
    let options = ServiceOptions::new("oven", url)
        .connect_timeout(Duration::from_millis(200))
        .attempt_timeout(Duration::from_millis(200))
        .timeout(LIMIT)
        .breaker(5, open_for);
    ServiceClient::new(options, Clock::system(), Ids::random()).expect("a client")
}

/// Calls until the service answers.
async fn recover(client: &ServiceClient) {
    let recovery = async {
        let mut tries = interval(Duration::from_millis(5));
        while client.get(["pizzas"]).send().await.is_err() {
            tries.tick().await;
        }
    };
    timeout(Duration::from_secs(20), recovery).await.expect("it recovers by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_illness_is_bounded_and_passes_by_itself() {
    for weather in
        [Weather::Silent, Weather::HalfOpen, Weather::Slow(Duration::from_millis(800)), Weather::Closed]
    {
        let service = Service::start(std::iter::repeat_n(well(), 1_000)).await;
        let strait = Strait::to(service.port());
        let client = client_of(strait.port(), Duration::from_millis(100));
        client.get(["pizzas"]).send().await.expect("it is well at first");

        strait.turn(weather);
        for _ in 0..3 {
            let began = Instant::now();
            let error = client.get(["pizzas"]).send().await.expect_err("it is ill");
            assert!(began.elapsed() < LIMIT + SLACK, "{weather:?}: {:?}", began.elapsed());
            assert!(error.is_transient(), "{weather:?}: {error}");
            assert_eq!(Error::from(error).kind(), ErrorKind::Unavailable);
        }
        strait.turn(Weather::Fair);
        recover(&client).await;
    }
}

#[tokio::test]
async fn who_is_refused_a_connection_knows_that_nothing_arrived() {
    let port = {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        gone.local_addr().expect("an address").port()
    };
    let client = client_of(port, Duration::from_secs(60));
    let error = client.post(["payments"]).send().await.expect_err("nobody is there");
    let ServiceError::NoAnswer { may_have_arrived, .. } = &error else { panic!("{error}") };
    assert!(!may_have_arrived);
    let cause = error.source().map(neuroglia::error::chain).unwrap_or_default();
    assert!(!cause.contains("payments"), "no URL is told: {cause}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_sent_may_have_arrived() {
    let service = Service::start([well()]).await;
    let strait = Strait::to(service.port());
    let client = client_of(strait.port(), Duration::from_secs(60));
    strait.turn(Weather::HalfOpen);
    let error = client.post(["payments"]).send().await.expect_err("no answer comes");
    assert!(matches!(error, ServiceError::NoAnswer { may_have_arrived: true, .. }), "{error}");
    service.wait_for(1).await;
}

#[tokio::test]
async fn a_service_that_fails_five_times_is_left_alone_and_found_again() {
    // Longer than a busy machine takes for the calls below.
    const OPEN_FOR: Duration = Duration::from_secs(2);
    let service = Service::start([]).await;
    let client = client_of(service.port(), OPEN_FOR);
    for _ in 0..5 {
        client.post(["pizzas"]).send().await.expect_err("it says 503");
    }
    let began = Instant::now();
    for _ in 0..100 {
        let error = client.clone().get(["pizzas"]).send().await.expect_err("nobody is asked");
        assert!(matches!(error, ServiceError::Open { .. }), "{error}");
    }
    assert!(began.elapsed() < OPEN_FOR, "{:?}", began.elapsed());
    assert_eq!(service.asked().len(), 5);

    service.say(std::iter::repeat_n(well(), 3));
    recover(&client).await;
    client.get(["pizzas"]).send().await.expect("the second success closes it");
    assert!(!client.is_open());
}

#[tokio::test]
async fn a_call_whose_own_time_is_over_is_no_failure_of_the_service() {
    // The first attempt fails late in the call, and the second has a part of its time only.
    let fails_late = || Say::status(503).after(Duration::from_millis(400));
    let thinks = || well().after(Duration::from_millis(500));
    let service = Service::start([fails_late(), thinks(), well()]).await;
    let url = service.url("/");
    let options = ServiceOptions::new("oven", url)
        .attempt_timeout(Duration::from_secs(1))
        .timeout(Duration::from_millis(800))
        .breaker(2, Duration::from_secs(60));
    let client = ServiceClient::new(options, Clock::system(), Ids::random()).expect("a client");
    client.get(["pizzas"]).send().await.expect_err("its time is over");
    assert_eq!(service.asked().len(), 2);
    assert!(!client.is_open(), "one failure was the service's");
    client.get(["pizzas"]).send().await.expect("it is asked");
}

#[tokio::test]
async fn a_service_that_takes_all_the_time_of_an_attempt_fails() {
    let thinks = || well().after(Duration::from_secs(5));
    let service = Service::start([thinks(), thinks()]).await;
    let options = ServiceOptions::new("oven", service.url("/"))
        .attempt_timeout(Duration::from_millis(200))
        .timeout(Duration::from_millis(200))
        .breaker(2, Duration::from_secs(60));
    let client = ServiceClient::new(options, Clock::system(), Ids::random()).expect("a client");
    for _ in 0..2 {
        client.get(["pizzas"]).send().await.expect_err("it does not answer in time");
    }
    assert!(client.is_open());
}

/// Whoever expects TLS does not speak to what has none, and needs nothing that was installed for the process.
#[tokio::test]
async fn a_server_without_tls_is_none() {
    let service = Service::start([well()]).await;
    let url = format!("https://127.0.0.1:{}", service.port()).parse().expect("a URL");
    let client = ServiceClient::new(ServiceOptions::new("oven", url), Clock::system(), Ids::random());
    let error = client.expect("a client").get(["pizzas"]).send().await.expect_err("it is no TLS");
    assert!(matches!(error, ServiceError::NoAnswer { may_have_arrived: false, .. }), "{error}");
    assert_eq!(service.asked().len(), 0);
}
