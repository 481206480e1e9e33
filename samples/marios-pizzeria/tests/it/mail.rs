//! The mail that customers get: as it waits in the store, and as it arrives.

use std::sync::Arc;
use std::time::Duration;

use neuroglia::clock::Clock;
use neuroglia::mail::{
    self, EmailAddress, ForgetSentMail, MailServer, MemoryMailServer, OutgoingMail, QueueWaitingMail, Refusal,
};
use neuroglia::work::{WorkClass, WorkFilter, WorkState};
use neuroglia_testing::services::{Misbehaviour, Smtp};
use serde_json::{Value, json};

use crate::shop::{Engine, Opening, Shop, eventually, guest_order};

async fn waiting(shop: &Shop) -> Vec<Value> {
    shop.settled().await;
    shop.documents("outgoing_mail").await
}

#[tokio::test]
async fn a_guest_with_an_address_gets_one_message_for_each_notification() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).set("MAIL_FROM", "mario@pizza.example").open().await;
        let order = shop.guest_order().await.id;
        shop.bring_to(&order, "delivered").await;
        let mail = waiting(&shop).await;
        let mut ids: Vec<_> = mail.iter().map(|mail| mail["message_id"].clone()).collect();
        ids.sort_by_key(ToString::to_string);
        let expected = ["cooking", "delivered", "delivering", "ready"]
            .map(|kind| json!(format!("<{order}.{kind}@pizza.example>")));
        assert_eq!(ids, expected, "{engine:?}");
        for mail in &mail {
            assert_eq!(
                (&mail["from"], &mail["to"]),
                (&json!("mario@pizza.example"), &json!("ada@example.com"))
            );
            assert_eq!(mail["state"], "waiting");
            assert!(mail["subject"].as_str().is_some_and(|subject| subject.ends_with(&order)), "{mail}");
            assert!(mail["text"].as_str().is_some_and(|text| text.contains("Dear Ada")), "{mail}");
        }
        shop.close().await;
    }
}

#[tokio::test]
async fn mail_about_a_cancelled_order_gives_the_reason() {
    let shop = Shop::open().await;
    let order = shop.guest_order().await.id;
    shop.done(&order, "cancel").await;
    let mail = waiting(&shop).await;
    assert_eq!(mail.len(), 1);
    assert!(mail[0]["text"].as_str().is_some_and(|text| text.contains("changed my mind")), "{mail:?}");
    shop.close().await;
}

#[tokio::test]
async fn nobody_gets_mail_without_an_address() {
    let shop = Shop::open().await;
    let mut order = guest_order();
    order["customer"]["email"] = Value::Null;
    let placed = shop.post("/api/v1/orders").json(&order).send().await.assert_status(201).json();
    shop.bring_to(placed["id"].as_str().expect("an id"), "ready").await;
    assert_eq!(waiting(&shop).await, [] as [Value; 0]);
    shop.close().await;
}

/// A pizzeria with this mail server.
fn with(server: &Arc<MemoryMailServer>) -> Opening {
    let server = Arc::clone(server);
    Opening::new().services(move |services| {
        let server = Arc::clone(&server) as Arc<dyn MailServer>;
        mail::attach(services, move || async move { Ok(server) });
    })
}

async fn states(shop: &Shop) -> Vec<Value> {
    shop.documents("outgoing_mail").await.iter().map(|mail| mail["state"].clone()).collect()
}

/// Waits until so many messages have been sent.
async fn sent(shop: &Shop, count: usize) {
    eventually("mail is sent", async || {
        let states = states(shop).await;
        states.len() == count && states.iter().all(|state| state == "sent")
    })
    .await;
}

/// The failures of mail that nobody tries to send again.
async fn dead(shop: &Shop) -> Vec<String> {
    let filter = WorkFilter {
        class: Some(WorkClass::Job),
        states: vec![WorkState::Dead],
        kind: Some("send-mail".to_owned()),
        limit: 10,
        ..WorkFilter::default()
    };
    let records = shop.store().list_work(&filter).await.expect("a list");
    records.into_iter().flat_map(|record| record.failures).map(|failure| failure.error).collect()
}

#[tokio::test]
async fn mail_is_sent_with_the_change_that_it_tells_of() {
    for engine in Engine::ALL {
        let server = Arc::new(MemoryMailServer::new());
        let shop = with(&server).on(engine).open().await;
        let order = shop.guest_order().await.id;
        shop.bring_to(&order, "cooking").await;
        shop.settled().await;
        sent(&shop, 1).await;
        let arrived = server.arrived();
        assert_eq!(arrived.len(), 1, "{engine:?}");
        assert_eq!(arrived[0].message_id.as_str(), format!("<{order}.cooking@marios-pizzeria.example>"));
        assert_eq!(arrived[0].to.as_str(), "ada@example.com");
        assert!(arrived[0].subject.as_str().ends_with(&order));
        assert!(arrived[0].text.contains("Dear Ada,\n\nyour order"), "{}", arrived[0].text);
        assert!(arrived[0].html.as_ref().is_some_and(|html| html.contains("<p>Dear Ada,</p>")));
        shop.close().await;
    }
}

#[tokio::test]
async fn what_the_server_refuses_for_good_is_a_dead_letter_and_for_now_is_sent_later() {
    let server = Arc::new(MemoryMailServer::new());
    let address: EmailAddress = "ada@example.com".parse().expect("an address");
    for (refusal, sent_in_the_end) in [(Refusal::Once, true), (Refusal::Always, false)] {
        let shop = with(&server).open().await;
        server.refuse(EmailAddress::clone(&address), refusal);
        let order = shop.guest_order().await.id;
        shop.done(&order, "cancel").await;
        shop.settled().await;
        if sent_in_the_end {
            sent(&shop, 1).await;
            assert_eq!(dead(&shop).await, [] as [String; 0]);
        } else {
            eventually("it is given up", async || !dead(&shop).await.is_empty()).await;
            assert_eq!(dead(&shop).await, ["the mail server refuses the message for good (550)"]);
            assert_eq!(states(&shop).await, ["failed"], "operators may have it tried again");
        }
        shop.close().await;
    }
    assert_eq!(server.arrived().len(), 1);
}

#[tokio::test]
async fn mail_that_waited_is_sent_once_each_when_a_server_is_attached() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let server = Smtp::start();
        let shop = Opening::new().on(engine).open().await;
        for _ in 0..3 {
            let order = shop.guest_order().await.id;
            shop.done(&order, "cancel").await;
        }
        assert_eq!(waiting(&shop).await.len(), 3);
        let shop = shop.reopen_with("SMTP_URL", &server.url()).await;
        let queued = shop.send(QueueWaitingMail {}).await.expect("an answer");
        let again = shop.send(QueueWaitingMail {}).await.expect("an answer");
        assert_eq!((queued, again), (3, 0), "{engine:?}");
        sent(&shop, 3).await;
        let mut ids: Vec<_> = server.arrived().iter().map(|one| one.headers("Message-ID").concat()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((ids.len(), server.arrived().len()), (3, 3), "{engine:?}");
        shop.close().await;
    }
}

#[tokio::test]
async fn mail_waits_again_when_its_server_is_detached() {
    let mut server = Smtp::start();
    let shop = Opening::new().on(Engine::Sqlite).set("SMTP_URL", &server.url()).open().await;
    server.crash();
    let order = shop.guest_order().await.id;
    shop.done(&order, "cancel").await;
    shop.settled().await;
    assert_eq!(states(&shop).await, ["queued"]);
    let shop = shop.reopen_with("SMTP_URL", "").await;
    eventually("it waits", async || states(&shop).await == ["waiting"]).await;
    shop.close().await;
}

#[tokio::test]
async fn a_mail_server_that_is_away_makes_nobody_wait_but_the_mail() {
    let mut server = Smtp::start();
    server.misbehave("ada@example.com", Misbehaviour::LoseAnswerOnce);
    let shop = Opening::new().set("SMTP_URL", &server.url()).set("ADMIN_PORT", "0").open().await;
    let order = shop.guest_order().await.id;
    server.crash();
    shop.done(&order, "confirm").await;
    shop.done(&order, "cook").await;
    shop.get("/health/ready").send().await.assert_status(200);
    shop.settled().await;
    server.start_again();
    sent(&shop, 1).await;
    let arrived = server.arrived();
    assert_eq!(arrived.len(), 2, "its answer was lost once: {arrived:?}");
    assert_eq!(arrived[0], arrived[1]);
    shop.close().await;
}

#[tokio::test]
async fn what_was_sent_long_ago_is_forgotten() {
    for engine in Engine::ALL {
        let server = Arc::new(MemoryMailServer::new());
        let shop = with(&server).on(engine).open().await;
        let order = shop.guest_order().await.id;
        shop.bring_to(&order, "ready").await;
        shop.settled().await;
        sent(&shop, 2).await;
        assert_eq!(shop.send(ForgetSentMail {}).await.expect("an answer"), 0, "{engine:?}");
        let old = Clock::system().now() - OutgoingMail::KEEP - Duration::from_secs(1);
        let id = format!("{order}.cooking");
        shop.change_one("outgoing_mail", &id, |mail| mail["sent_at"] = json!(old)).await;
        assert_eq!(shop.send(ForgetSentMail {}).await.expect("an answer"), 1, "{engine:?}");
        assert_eq!(states(&shop).await, ["sent"]);
        shop.close().await;
    }
}
