//! What is lost, which is nothing, when something is broken.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::bench::Bench;
use super::office::{Office, eventually};
use crate::Weather;

/// How long a bus that does not answer may keep its publisher: the relay gives it as long.
const PUBLISH_MAX: Duration = Duration::from_secs(6);

/// How long a rule looks whether more is taken than may be.
const GLANCE: Duration = Duration::from_millis(300);

pub(super) async fn what_is_not_understood_is_put_aside_and_holds_up_nobody(bench: Arc<dyn Bench>) {
    if !bench.lets_strangers_send() {
        return;
    }
    let office = Office::open(bench, &[("bell", "order.ready")]).await;
    office.send(&[office.event("order.ready", "o-1", "1")]).await;
    let ready = office.event_type("order.ready");
    let stranger =
        format!(r#"{{"specversion":"1.0","id":"1","source":"/x","type":"{ready}"}}"#).replace("1.0", "0.3");
    let unwanted = r#"{"specversion":"1.0","id":"1","source":"/x","type":"io.other.thing.v1"}"#.to_owned();
    let poison: Vec<Vec<u8>> =
        vec![b"no JSON".to_vec(), vec![0xff, 0xfe], stranger.into_bytes(), unwanted.into_bytes(), Vec::new()];
    for body in &poison {
        assert!(office.bench.inject(&ready, body).await, "a stranger could not send");
    }
    office.send(&[office.event("order.ready", "o-1", "2")]).await;
    let worker = office.begin().await;
    office.await_delivered("bell", 2).await;
    assert_eq!(office.data("bell").await, ["1", "2"]);
    eventually(&*office.bench, "what is not understood is put aside", || async {
        office.bench.dead_letters("bell").await.len() >= poison.len()
    })
    .await;
    let mut aside = office.bench.dead_letters("bell").await;
    let mut expected = poison;
    aside.sort();
    expected.sort();
    assert_eq!(aside, expected, "it is kept as it came");
    worker.end().await;
}

pub(super) async fn what_is_in_hand_when_its_taker_dies_comes_again_in_order(bench: Arc<dyn Bench>) {
    let office = Office::open(bench, &[("bell", "order.ready")]).await;
    let worker = office.begin().await;
    office.send(&[office.event("order.ready", "o-1", "0")]).await;
    office.await_delivered("bell", 1).await;
    office.control.go_away();
    let events: Vec<_> =
        (1..=20).map(|number| office.event("order.ready", "o-1", &number.to_string())).collect();
    let is_local = office.attached.source.is_none();
    if is_local {
        let outcome = office.publish(&events[..1]).await.remove(0);
        assert!(
            outcome.is_err_and(|error| error.kind().is_transient()),
            "what cannot be stored has not arrived"
        );
    } else {
        office.send(&events[..10]).await;
        eventually(&*office.bench, "something is in hand", || async {
            office.bench.waiting("bell").await == Some(0)
        })
        .await;
        office.send(&events[10..]).await;
    }
    worker.crash().await;
    office.control.come_back();
    let worker = office.begin().await;
    if is_local {
        office.send(&events).await;
    }
    office.await_delivered("bell", 21).await;
    let expected: Vec<_> = (0..=20).map(|number| number.to_string()).collect();
    assert_eq!(office.data("bell").await, expected);
    worker.end().await;
}

pub(super) async fn who_alone_has_lost_the_store_leaves_the_queue_to_others(bench: Arc<dyn Bench>) {
    let office = Office::open(bench, &[("bell", "order.ready")]).await;
    if office.attached.source.is_none() {
        return;
    }
    let (cut_off, control) = office.begin_apart().await;
    office.send(&[office.event("order.ready", "o-1", "0")]).await;
    office.await_delivered("bell", 1).await;
    let sound = office.begin().await;
    control.go_away();
    for number in 1..=5 {
        office.send(&[office.event("order.ready", "o-1", &number.to_string())]).await;
    }
    office.await_delivered("bell", 6).await;
    assert_eq!(office.data("bell").await, ["0", "1", "2", "3", "4", "5"]);
    control.come_back();
    sound.end().await;
    office.send(&[office.event("order.ready", "o-1", "6")]).await;
    office.await_delivered("bell", 7).await;
    cut_off.end().await;
}

pub(super) async fn while_the_store_is_away_no_more_is_taken_than_can_be_held(bench: Arc<dyn Bench>) {
    const COUNT: usize = 700;
    let office = Office::open(bench, &[("bell", "order.ready")]).await;
    let worker = office.begin().await;
    office.send(&[office.event("order.ready", "o-0", "0")]).await;
    office.await_delivered("bell", 1).await;
    if office.attached.source.is_none() {
        return;
    }
    office.control.go_away();
    for batch in 0..COUNT / 100 {
        let event = |number: usize| office.event("order.ready", &format!("o-{batch}-{number}"), "1");
        office.send_together(&(0..100).map(event).collect::<Vec<_>>()).await;
    }
    sleep(GLANCE).await;
    let waiting = office.bench.waiting("bell").await.expect("it is told what waits at the bus");
    assert!(waiting >= COUNT / 2, "{} of {COUNT} messages are in hand", COUNT - waiting);
    office.control.come_back();
    office.await_delivered("bell", COUNT + 1).await;
    worker.end().await;
}

pub(super) async fn an_event_without_a_confirmation_is_sent_again_and_delivered_once(bench: Arc<dyn Bench>) {
    if !bench.has_weather() {
        return;
    }
    let office = Office::open(Arc::clone(&bench), &[("bell", "order.ready")]).await;
    office.send(&[office.event("order.ready", "o-0", "0")]).await;
    let event = |subject: usize, number: usize| {
        office.event("order.ready", &format!("o-{subject}"), &number.to_string())
    };
    let events: Vec<_> = (1..=20).map(|number| event(number, number)).collect();
    // The bus takes what it is sent, and its answers are lost.
    turn(&*bench, Weather::HalfOpen);
    let began = Instant::now();
    let outcomes = office.publish(&events).await;
    let took = began.elapsed();
    assert!(outcomes.iter().all(Result::is_err), "nobody has confirmed: {outcomes:?}");
    assert!(took < PUBLISH_MAX, "the publisher waited for {took:?}");
    turn(&*bench, Weather::Closed);
    turn(&*bench, Weather::Fair);
    office.send_together(&events).await;
    let worker = office.begin().await;
    // What comes twice of a subject is there before what follows it.
    office.send_together(&(1..=20).map(|number| event(number, number + 20)).collect::<Vec<_>>()).await;
    office.await_delivered("bell", 41).await;
    let mut numbers: Vec<usize> =
        office.data("bell").await.iter().filter_map(|number| number.parse().ok()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..=40).collect::<Vec<_>>(), "each once");
    worker.end().await;
}

pub(super) async fn a_bus_that_was_away_goes_on_by_itself(bench: Arc<dyn Bench>) {
    if !bench.has_weather() {
        return;
    }
    let office = Office::open(Arc::clone(&bench), &[("bell", "order.ready")]).await;
    let worker = office.begin().await;
    office.send(&[office.event("order.ready", "o-1", "0")]).await;
    office.await_delivered("bell", 1).await;
    for (number, weather) in [Weather::Closed, Weather::Silent, Weather::HalfOpen].into_iter().enumerate() {
        turn(&*bench, weather);
        let event = office.event("order.ready", "o-1", &(number + 1).to_string());
        let began = Instant::now();
        let outcome = office.publish(std::slice::from_ref(&event)).await.remove(0);
        assert!(began.elapsed() < PUBLISH_MAX, "{weather:?}: the publisher waited for {:?}", began.elapsed());
        assert!(outcome.is_err_and(|error| error.kind().is_transient()), "{weather:?}: it is away");
        turn(&*bench, Weather::Fair);
        office.send(&[event]).await;
        office.await_delivered("bell", number + 2).await;
    }
    assert_eq!(office.data("bell").await, ["0", "1", "2", "3"]);
    worker.end().await;
}

/// Makes a bus ill that can be, or well again.
fn turn(bench: &dyn Bench, weather: Weather) {
    assert!(bench.turn(weather), "the bus could not be made {weather:?}");
}
