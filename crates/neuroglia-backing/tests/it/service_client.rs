//! The client of services, against a server that says what it is told to.

use std::time::Duration;

use neuroglia::clock::Clock;
use neuroglia::error::{Error, ErrorKind, chain};
use neuroglia::health::Indicator;
use neuroglia::id::Ids;
use neuroglia::identity::Correlation;
use neuroglia::meter::{Meter, Number};
use neuroglia::settings::{ByteSize, Secret};
use neuroglia_backing::http::{ServiceClient, ServiceError, ServiceIndicator, ServiceOptions};
use neuroglia_backing::service;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use crate::encrypted::Encrypted;
use crate::letters::assert_certificate_is_verified;
use crate::service::{Say, Service};

#[derive(Debug, PartialEq, Deserialize)]
struct Pizza {
    name: String,
}

fn options(service: &Service) -> ServiceOptions {
    ServiceOptions::new("oven", service.url("/kitchen/")).breaker(1_000, Duration::from_secs(5))
}

fn client(options: ServiceOptions) -> ServiceClient {
    ServiceClient::new(options, Clock::system(), Ids::random()).expect("a client")
}

fn margherita() -> Say {
    Say::json(200, json!({"name": "margherita"}))
}

#[tokio::test]
async fn a_call_shows_who_asks_and_what_it_is_a_part_of() {
    let service = Service::start([margherita()]).await;
    let client = client(options(&service).bearer(Secret::new("s3cr3t".to_owned())));
    let correlation = Correlation {
        request_id: Some("r-1".to_owned()),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        idempotency: None,
    };
    let pizza: Pizza = client
        .post(["pizzas", "a/b?c", "bake"])
        .query("how", "well done")
        .idempotency_key("k-1")
        .json(&json!({"size": "large"}))
        .within(&correlation)
        .send()
        .await
        .and_then(|reply| reply.json())
        .expect("a pizza");
    assert_eq!(pizza.name, "margherita");
    let asked = service.asked();
    let request = &asked[0];
    assert_eq!(request.uri, "/kitchen/pizzas/a%2Fb%3Fc/bake?how=well+done");
    for (name, value) in [
        ("authorization", "Bearer s3cr3t"),
        ("idempotency-key", "k-1"),
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("x-request-id", "r-1"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    assert_eq!(request.body, r#"{"size":"large"}"#);
    assert!(!format!("{client:?}").contains("s3cr3t"));
}

#[tokio::test]
async fn what_changes_nothing_is_tried_three_times() {
    for failures in [[503, 500], [408, 429]] {
        let script = failures.map(Say::status).into_iter().chain([margherita()]);
        let service = Service::start(script).await;
        let reply = client(options(&service)).get(["pizzas"]).send().await.expect("the third answer");
        assert_eq!(reply.json::<Pizza>().expect("a pizza").name, "margherita");
        assert_eq!(service.asked().len(), 3, "{failures:?}");
    }

    let service = Service::start([Say::status(503), Say::status(429), Say::status(502), margherita()]).await;
    let error = client(options(&service)).delete(["pizzas"]).send().await.expect_err("the third is the last");
    assert!(matches!(error, ServiceError::Status { status, .. } if status == 502), "{error}");
    assert_eq!(service.asked().len(), 3);
}

#[tokio::test]
async fn a_post_is_repeated_only_when_the_service_knows_a_repetition() {
    let service = Service::start([Say::status(503), margherita()]).await;
    let error = client(options(&service)).post(["pizzas"]).send().await.expect_err("nobody tries again");
    assert!(error.is_transient());
    assert_eq!(service.asked().len(), 1);

    let service = Service::start([Say::status(503), margherita()]).await;
    client(options(&service)).post(["pizzas"]).idempotency_key("k-1").send().await.expect("the second");
    let keys: Vec<_> =
        service.asked().iter().map(|asked| asked.header("idempotency-key").map(str::to_owned)).collect();
    assert_eq!(keys, [Some("k-1".to_owned()), Some("k-1".to_owned())]);
}

#[tokio::test]
async fn a_refusal_is_an_answer_that_says_why() {
    #[derive(Deserialize)]
    struct Why {
        code: String,
    }
    let service = Service::start([Say::json(402, json!({"code": "declined"}))]).await;
    let reply = client(options(&service)).get(["pizzas"]).send().await.expect("an answer");
    assert_eq!(reply.status(), 402);
    assert_eq!(reply.decode::<Why>().expect("the reason").code, "declined");
    let error = reply.json::<Pizza>().expect_err("it is no success");
    assert!(matches!(error, ServiceError::Status { status, .. } if status == 402));
    assert_eq!(service.asked().len(), 1, "another try would not change it");
}

#[tokio::test]
async fn what_is_not_there_is_none_and_any_other_refusal_an_error() {
    let service = Service::start([margherita(), Say::status(404), Say::status(410)]).await;
    let client = client(options(&service));
    let ask = async || client.get(["pizzas"]).send().await?.found();
    let found = ask().await.expect("an answer").expect("it is there");
    assert_eq!(found.json::<Pizza>().expect("a pizza").name, "margherita");
    assert!(ask().await.expect("an answer").is_none());
    let error = ask().await.expect_err("it says something else");
    assert!(matches!(error, ServiceError::Status { status, .. } if status == 410), "{error}");
}

#[tokio::test]
async fn a_service_is_asked_again_when_it_wants_to_be() {
    let in_a_second = Say::status(503).header("retry-after", "1");
    let service = Service::start([in_a_second, margherita()]).await;
    let began = Instant::now();
    client(options(&service)).get(["pizzas"]).send().await.expect("the second answer");
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());

    // It wants to be left alone for longer than the call may take.
    let service = Service::start([Say::status(429).header("retry-after", "60"), margherita()]).await;
    let began = Instant::now();
    let error = client(options(&service)).get(["pizzas"]).send().await.expect_err("it is told at once");
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!((Error::from(error).retry_after_s(), service.asked().len()), (Some(60), 1));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Service::start([margherita()]).await;
    let away = Say::status(302).header("location", elsewhere.url("/").as_str());
    let service = Service::start([away]).await;
    let error = client(options(&service)).get(["pizzas"]).send().await.expect_err("it is an error");
    assert!(matches!(error, ServiceError::Status { status, .. } if status == 302), "{error}");
    assert_eq!(Error::from(error).kind(), ErrorKind::Internal);
    assert_eq!(elsewhere.asked().len(), 0);
}

#[tokio::test]
async fn an_answer_that_was_not_agreed_on_is_told_from_none() {
    let huge = "x".repeat(2_000);
    let cases = [
        (Say::json(200, json!({"name": huge})), "is larger than the 1024 bytes"),
        (Say::text(200, "text/html", "<p>margherita</p>"), "is not JSON by its content type"),
        (Say::json(200, json!({"title": "secret margherita"})), "has another shape than expected"),
        (Say::text(200, "application/json", "{"), "has another shape than expected"),
    ];
    for (say, expected) in cases {
        let service = Service::start([say]).await;
        let client = client(options(&service).reply_max(ByteSize::from_bytes(1_024)));
        let outcome = client.get(["pizzas"]).send().await.and_then(|reply| reply.json::<Pizza>());
        let error = outcome.expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!error.to_string().contains("margherita"), "{error}");
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut_where_it_becomes_too_large() {
    let service = Service::start([Say::json(200, json!({})).without_end()]).await;
    let client = client(options(&service).reply_max(ByteSize::from_bytes(64 * 1_024)));
    let error = client.get(["pizzas"]).send().await.expect_err("nobody reads on for ever");
    assert!(error.to_string().contains("larger than the 65536 bytes"), "{error}");
}

#[tokio::test]
async fn one_call_in_five_is_repeated_at_most() {
    let service = Service::start([]).await;
    let client = client(options(&service));
    for _ in 0..100 {
        client.get(["pizzas"]).send().await.expect_err("it says 503 to all");
    }
    let repeated = service.asked().len() - 100;
    assert!((20..=30).contains(&repeated), "{repeated}");
}

#[tokio::test]
async fn so_many_calls_run_at_once_and_the_others_wait_their_turn() {
    let slow = || margherita().after(Duration::from_millis(100));
    let service = Service::start([slow(), slow(), slow(), slow()]).await;
    let client = client(options(&service).concurrent_max(2));
    let calls: Vec<_> = (0..4).map(|_| tokio::spawn(client.get(["pizzas"]).send())).collect();
    for call in calls {
        call.await.expect("no panic").expect("an answer");
    }
    assert_eq!(service.most_at_once(), 2);

    let service = Service::start([margherita().after(Duration::from_secs(20)), margherita()]).await;
    let client = self::client(options(&service).concurrent_max(1).timeout(Duration::from_millis(300)));
    let first = tokio::spawn(client.get(["pizzas"]).send());
    service.wait_for(1).await;
    let error = client.get(["pizzas"]).send().await.expect_err("there is no place in time");
    assert!(matches!(error, ServiceError::Busy { .. } | ServiceError::NoAnswer { .. }), "{error}");
    first.await.expect("no panic").expect_err("it does not answer in time");
}

#[tokio::test]
async fn calls_are_counted_by_how_they_end() {
    let service = Service::start([margherita(), Say::status(503), margherita()]).await;
    let client = client(options(&service).breaker(1, Duration::from_secs(60)));
    client.get(["pizzas"]).send().await.expect("an answer");
    client.post(["pizzas"]).send().await.expect_err("503");
    let error = client.get(["pizzas"]).send().await.expect_err("the breaker is open");
    assert!(matches!(error, ServiceError::Open { .. }), "{error}");
    assert_eq!(Error::from(error).retry_after_s(), Some(60));
    let readings = client.read();
    let number = |name: &str, outcome: Option<&str>| {
        let wanted = readings.iter().find(|reading| {
            let label = reading.labels.iter().find(|(label, _)| *label == "outcome");
            reading.name == name && label.map(|(_, value)| value.as_ref()) == outcome
        });
        wanted.map(|reading| reading.number)
    };
    for outcome in ["answered", "failed", "refused"] {
        assert_eq!(number("service_calls", Some(outcome)), Some(Number::Counter(1)), "{outcome}");
    }
    assert_eq!(number("service_breaker_open", None), Some(Number::Gauge(1)));
    assert_eq!(number("service_calls_in_flight", None), Some(Number::Gauge(0)));
    assert!(readings.iter().all(|reading| reading.labels.contains(&("service", "oven".into()))));
}

#[tokio::test]
async fn a_service_is_well_when_it_answers_at_all() {
    let away = Say::status(302).header("location", "/elsewhere");
    let script = [Say::status(404).header("server", "oven/2.1"), Say::status(500), away, Say::status(429)];
    let service = Service::start(script).await;
    let indicator = ServiceIndicator::new(client(options(&service)));
    assert_eq!((indicator.name(), indicator.kind(), indicator.required()), ("oven", "http", false));
    let details = serde_json::to_value(indicator.check().await.expect("it answers")).expect("JSON");
    assert_eq!(details, json!({"breaker": "closed", "server": "oven/2.1"}));
    assert_eq!(indicator.check().await.expect_err("500").kind(), ErrorKind::Unavailable);
    for status in [302, 429] {
        indicator.check().await.unwrap_or_else(|error| panic!("{status} is an answer: {error:?}"));
    }
}

#[test]
fn an_address_has_no_credentials_and_nothing_after_its_path() {
    let fault = |url: &str| service::check_url(&url.parse().expect("a URL")).err();
    assert_eq!(fault("https://payments.example"), None);
    assert_eq!(fault("http://127.0.0.1:9000/sandbox/"), None);
    assert!(fault("ftp://payments.example").is_some_and(|fault| fault.contains("use https://")));
    assert!(fault("https://payments.example/?key=1").is_some_and(|fault| fault.contains("leave out")));
    assert_eq!(fault("https://payments.example/?cacertfile=/ca.pem"), None);
    assert!(
        fault("http://payments.example/?cacertfile=/ca.pem")
            .is_some_and(|fault| fault.contains("use https://"))
    );
    let fault = fault("https://user:hunter2@payments.example").expect("it is refused");
    assert!(fault.contains("variable") && !fault.contains("hunter2"));
}

#[tokio::test]
async fn a_certificate_is_verified_up_to_the_name_of_the_host() {
    let service = Service::start([margherita()]).await;
    let server = Encrypted::before(service.port()).await;
    let talk = async |url: &str| {
        let options = ServiceOptions::new("oven", url.parse().expect("a URL")).attempts_max(1);
        let pizza: Pizza = client(options).get(["pizzas"]).send().await?.json()?;
        assert_eq!(pizza.name, "margherita");
        Ok(())
    };
    assert_certificate_is_verified(server.port(), &server.authority(), ["https", "http"], talk).await;
    let asked: Vec<_> = service.asked().into_iter().map(|asked| asked.uri).collect();
    assert_eq!(asked, ["/pizzas"], "nobody else was let in");
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_makes_no_client() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing").expect("a file");
    for (file, part) in [(folder.path().join("missing.pem"), "No such file"), (empty, "no certificate")] {
        let url = format!("https://localhost?cacertfile={}", file.display()).parse().expect("a URL");
        let made = ServiceClient::new(ServiceOptions::new("oven", url), Clock::system(), Ids::random());
        let error = made.map(drop).expect_err("it is refused");
        assert!(chain(&error).contains(part), "{}", chain(&error));
    }
}
