//! Events become work: one delivery for each consumer that wants them, once.

use std::sync::Arc;

use neuroglia::data::Store;
use neuroglia::messaging::{Parcel, Subscription};
use neuroglia::work::WorkClass;

use super::workbench::{QUEUE, claim, claim_one, finish, names, new_id, records};

fn wanting(consumer: &str, event: &str) -> Subscription {
    Subscription {
        consumer: consumer.to_owned(),
        event: event.to_owned(),
        queue: QUEUE.to_owned(),
        is_ordered: false,
        attempts_max: 7,
    }
}

fn parcel(event: &str, subject: &str, name: &str) -> Parcel {
    Parcel {
        key: new_id().to_string(),
        name: event.to_owned(),
        subject: Some(subject.to_owned()),
        envelope: format!("\"{name}\""),
        consumer: None,
        correlation_id: Some("request-1".to_owned()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
    }
}

async fn subscribe(store: &dyn Store, subscriptions: &[Subscription]) {
    store.subscribe(subscriptions).await.expect("a subscription is noted");
}

async fn fan_out(store: &dyn Store, parcels: &[Parcel]) -> u64 {
    store.fan_out(parcels).await.expect("deliveries are stored")
}

pub(super) async fn an_event_is_delivered_to_each_of_its_consumers_and_to_no_others(store: Arc<dyn Store>) {
    let created = parcel("order.created", "o-1", "created");
    assert_eq!(fan_out(&*store, std::slice::from_ref(&created)).await, 0, "nobody wants it yet");
    subscribe(
        &*store,
        &[wanting("a", "order.created"), wanting("b", "order.created"), wanting("c", "order.paid")],
    )
    .await;
    assert_eq!(fan_out(&*store, std::slice::from_ref(&created)).await, 2);
    let claimed = claim(&*store, &["a", "b", "c"], 10).await;
    let mut consumers: Vec<_> = claimed.iter().map(|claimed| claimed.kind.as_str()).collect();
    consumers.sort_unstable();
    assert_eq!(consumers, ["a", "b"]);
    for delivery in claimed {
        assert_eq!(delivery.class, WorkClass::Delivery);
        assert_eq!(delivery.key.as_ref(), Some(&created.key));
        assert_eq!(delivery.payload, created.envelope);
        assert_eq!((delivery.queue.as_str(), delivery.attempts_max), (QUEUE, 7));
        assert_eq!(delivery.correlation_id, created.correlation_id);
        assert_eq!(delivery.traceparent, created.traceparent);
    }
}

pub(super) async fn an_event_is_delivered_once_even_after_it_was_handled(store: Arc<dyn Store>) {
    subscribe(&*store, &[wanting("a", "order.created")]).await;
    let events = [parcel("order.created", "o-1", "first"), parcel("order.created", "o-2", "second")];
    let twice = [events[0].clone(), events[0].clone()];
    assert_eq!(fan_out(&*store, &twice).await, 1, "twice in one call");
    assert_eq!(fan_out(&*store, &events).await, 1, "only the second is new");
    for delivery in claim(&*store, &["a"], 10).await {
        finish(&*store, delivery.ticket).await;
    }
    assert_eq!(fan_out(&*store, &events).await, 0, "both were handled");
    assert_eq!(claim(&*store, &["a"], 10).await, []);
    subscribe(&*store, &[wanting("b", "order.created")]).await;
    assert_eq!(fan_out(&*store, &events).await, 2, "each consumer gets it for itself");
    assert_eq!(records(&*store).await.len(), 4);
}

pub(super) async fn an_event_for_one_consumer_is_delivered_to_that_one_if_it_wants_it(store: Arc<dyn Store>) {
    subscribe(&*store, &[wanting("a", "order.created"), wanting("b", "order.created")]).await;
    let event = parcel("order.created", "o-1", "event");
    let to = |consumer: &str| [Parcel { consumer: Some(consumer.to_owned()), ..event.clone() }];
    assert_eq!(fan_out(&*store, &to("c")).await, 0, "c does not want it");
    assert_eq!(fan_out(&*store, &to("b")).await, 1);
    assert_eq!(fan_out(&*store, &to("b")).await, 0, "it has it");
    assert_eq!(fan_out(&*store, &[to("a"), to("b")].concat()).await, 1, "each for itself");
    assert_eq!(records(&*store).await.len(), 2);
}

pub(super) async fn subscriptions_are_changed_listed_and_taken_back(store: Arc<dyn Store>) {
    let listed = async || {
        let mut all = store.subscriptions().await.expect("subscriptions are listed");
        all.sort();
        all
    };
    let (a, b) = (wanting("a", "order.created"), wanting("b", "order.created"));
    let paid = wanting("a", "order.paid");
    subscribe(&*store, &[a.clone(), b.clone()]).await;
    subscribe(&*store, &[paid.clone(), a.clone()]).await;
    assert_eq!(listed().await, vec![a, paid.clone(), b.clone()]);
    let changed = Subscription {
        queue: "slow".to_owned(),
        is_ordered: true,
        attempts_max: 2,
        ..wanting("a", "order.created")
    };
    subscribe(&*store, std::slice::from_ref(&changed)).await;
    assert_eq!(listed().await, vec![changed, paid, b.clone()]);
    assert!(store.unsubscribe("a").await.expect("subscriptions are taken back"));
    assert!(!store.unsubscribe("a").await.expect("subscriptions are taken back"), "it had none any more");
    assert_eq!(listed().await, vec![b]);
    assert_eq!(fan_out(&*store, &[parcel("order.created", "o-1", "event")]).await, 1, "to b alone");
}

pub(super) async fn an_ordered_consumer_gets_the_events_of_a_subject_in_turn(store: Arc<dyn Store>) {
    let ordered = Subscription { is_ordered: true, ..wanting("ordered", "order.moved") };
    subscribe(&*store, &[ordered, wanting("free", "order.moved")]).await;
    let events =
        [("o-1", "1a"), ("o-1", "1b"), ("o-2", "2a")].map(|(o, name)| parcel("order.moved", o, name));
    fan_out(&*store, &events).await;
    assert_eq!(names(&claim(&*store, &["free"], 10).await), "1a 1b 2a");
    let heads = claim(&*store, &["ordered"], 10).await;
    assert_eq!(names(&heads), "1a 2a");
    finish(&*store, heads[0].ticket).await;
    assert_eq!(names(&[claim_one(&*store, "ordered").await]), "1b");
}

pub(super) async fn events_without_a_subject_do_not_wait_for_each_other(store: Arc<dyn Store>) {
    subscribe(&*store, &[Subscription { is_ordered: true, ..wanting("ordered", "clock.struck") }]).await;
    let events = ["one", "two"].map(|name| Parcel { subject: None, ..parcel("clock.struck", "", name) });
    assert_eq!(fan_out(&*store, &events).await, 2);
    assert_eq!(fan_out(&*store, &events).await, 0, "each is delivered once all the same");
    assert_eq!(names(&claim(&*store, &["ordered"], 10).await), "one two");
}
