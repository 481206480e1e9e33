//! What arrives, where, how often and in which order.

use std::sync::Arc;

use super::bench::Bench;
use super::office::Office;

pub(super) async fn an_event_reaches_each_consumer_that_wants_it_and_no_other(bench: Arc<dyn Bench>) {
    let wants = [("bell", "order.ready"), ("books", "order.ready"), ("books", "order.paid")];
    let office = Office::open(bench, &wants).await;
    let worker = office.begin().await;
    let (ready, paid) = (office.event("order.ready", "o-1", "1"), office.event("order.paid", "o-1", "2"));
    office.send(&[ready, paid]).await;
    office.await_delivered("bell", 1).await;
    office.await_delivered("books", 2).await;
    // What came to the wrong one is there before what follows it.
    office.send(&[office.event("order.ready", "o-1", "3")]).await;
    office.await_delivered("bell", 2).await;
    office.await_delivered("books", 3).await;
    assert_eq!(office.data("bell").await, ["1", "3"]);
    assert_eq!(office.data("books").await, ["1", "2", "3"]);
    worker.end().await;
}

pub(super) async fn an_event_that_nobody_wants_arrives_nowhere_and_is_confirmed(bench: Arc<dyn Bench>) {
    let office = Office::open(bench, &[("bell", "order.ready")]).await;
    let worker = office.begin().await;
    let events = [office.event("pizza.created", "p-1", "0"), office.event("order.ready", "o-1", "1")];
    office.send(&events).await;
    office.await_delivered("bell", 1).await;
    assert_eq!(office.data("bell").await, ["1"]);
    worker.end().await;
}

pub(super) async fn an_event_that_is_sent_twice_is_delivered_once(bench: Arc<dyn Bench>) {
    let office = Office::open(bench, &[("bell", "order.ready")]).await;
    let worker = office.begin().await;
    let event = office.event("order.ready", "o-1", "1");
    for _ in 0..3 {
        office.send(std::slice::from_ref(&event)).await;
    }
    office.send(&[office.event("order.ready", "o-1", "2")]).await;
    office.await_delivered("bell", 2).await;
    assert_eq!(office.data("bell").await, ["1", "2"]);
    worker.end().await;
}

pub(super) async fn events_of_a_subject_are_delivered_in_the_order_in_which_they_were_sent(
    bench: Arc<dyn Bench>,
) {
    const ROUNDS: usize = 30;
    let office = Office::open(bench, &[("bell", "order.ready"), ("bell", "order.paid")]).await;
    // Two processes at a time, of which one ends and another begins meanwhile.
    let (first, second) = (office.begin().await, office.begin().await);
    for number in 0..ROUNDS / 2 {
        send_round(&office, number).await;
    }
    first.end().await;
    let third = office.begin().await;
    for number in ROUNDS / 2..ROUNDS {
        send_round(&office, number).await;
    }
    office.await_delivered("bell", ROUNDS * 10).await;
    let all = office.delivered("bell").await;
    for subject in 0..10 {
        let subject = format!("\"subject\":\"o-{subject}\"");
        let of_subject = all.iter().filter(|record| record.payload.contains(&subject));
        let numbers: Vec<usize> = of_subject
            .filter_map(|record| {
                record.payload.rsplit("\"data\":").next()?.trim_end_matches('}').parse().ok()
            })
            .collect();
        assert_eq!(numbers, (0..ROUNDS).collect::<Vec<_>>(), "the order of {subject}");
    }
    second.end().await;
    third.end().await;
}

/// Sends one event of each of ten subjects.
async fn send_round(office: &Office, round: usize) {
    let name = if round.is_multiple_of(2) { "order.ready" } else { "order.paid" };
    let event = |subject: usize| office.event(name, &format!("o-{subject}"), &round.to_string());
    office.send_together(&(0..10).map(event).collect::<Vec<_>>()).await;
}

pub(super) async fn what_nobody_takes_waits_for_who_comes_later(bench: Arc<dyn Bench>) {
    let office = Office::open(bench, &[("bell", "order.ready")]).await;
    let events: Vec<_> =
        (0..5).map(|number| office.event("order.ready", "o-1", &number.to_string())).collect();
    office.send(&events).await;
    let worker = office.begin().await;
    office.await_delivered("bell", 5).await;
    assert_eq!(office.data("bell").await, ["0", "1", "2", "3", "4"]);
    worker.end().await;
}

pub(super) async fn an_event_is_delivered_as_it_was_sent(bench: Arc<dyn Bench>) {
    let office = Office::open(bench, &[("bell", "order.ready")]).await;
    let worker = office.begin().await;
    let large = format!("{{\"notes\":\"{}\",\"name\":\"Łucja 🍕\"}}", "n".repeat(200_000));
    let event = office.event("order.ready", "ö/1 2", &large);
    office.send(std::slice::from_ref(&event)).await;
    office.await_delivered("bell", 1).await;
    let delivered = office.delivered("bell").await.remove(0);
    let sent = serde_json::to_string(&event).expect("it is JSON");
    assert!(delivered.payload == sent, "it was changed on its way");
    assert_eq!(delivered.key, Some(event.id.clone()));
    assert_eq!(delivered.correlation_id, event.correlationid);
    worker.end().await;
}
