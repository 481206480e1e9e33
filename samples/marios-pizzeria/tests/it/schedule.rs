//! What the scheduler does, each command as its task sends it, and tasks as they run.

use std::collections::BTreeSet;
use std::time::Duration;

use neuroglia::clock::{Clock, Timestamp};
use neuroglia::data::{Batch, Change, PAGE_LIMIT_MAX, Write};
use neuroglia::di::Service;
use neuroglia::schedule::{QUEUE, ScheduledTask};
use neuroglia::work::{NewWork, WorkFilter, WorkState};
use neuroglia_testing::workbench::{enqueue, job};
use pizzeria_application::feed::TrimEveryMinute;
use pizzeria_application::orders::{
    ExpireEveryMinute, ExpireUnpaidOrders, MarkLateEveryMinute, MarkLateOrders,
};
use pizzeria_application::payments::ForgetEveryMinute;
use pizzeria_application::statistics::ReportDay;
use serde_json::{Value, json};

use crate::shop::{Engine, Opening, Shop, eventually};

fn now() -> Timestamp {
    Clock::system().now()
}

/// Has something of an order happened so many minutes ago.
async fn minutes_ago(shop: &Shop, id: &str, member: &str, minutes: u64) {
    let at = now() - Duration::from_secs(minutes * 60);
    shop.change_one("orders", id, |order| order[member] = json!(at)).await;
}

async fn pay_by_card(shop: &Shop, id: &str, status: &str) {
    let payment = json!({"method": "credit_card", "status": status, "source": null, "reference": null});
    shop.change_one("orders", id, |order| order["payment"] = payment.clone()).await;
}

#[tokio::test]
async fn card_orders_that_nobody_paid_for_expire_and_cash_orders_wait() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let customer = &shop.people.customer;
        let [declined, unanswered, authorized, fresh, cash] = [
            shop.order_of(customer).await,
            shop.order_of(customer).await,
            shop.order_of(customer).await,
            shop.order_of(customer).await,
            shop.order_of(customer).await,
        ];
        for (id, status) in [(&declined, "failed"), (&unanswered, "authorizing"), (&authorized, "authorized")]
        {
            pay_by_card(&shop, id, status).await;
            minutes_ago(&shop, id, "placed_at", 15).await;
        }
        pay_by_card(&shop, &fresh, "failed").await;
        minutes_ago(&shop, &fresh, "placed_at", 14).await;
        minutes_ago(&shop, &cash, "placed_at", 60).await;

        let expire = || shop.send(ExpireUnpaidOrders { now: now() });
        assert_eq!(expire().await.expect("an answer"), 2, "{engine:?}");
        for id in [&declined, &unanswered] {
            let order = shop.order(id).await.json();
            assert_eq!(
                (&order["status"], &order["cancel_reason"]),
                (&json!("cancelled"), &json!("not paid in time"))
            );
            assert_eq!(order["history"][1]["by"], Value::Null);
        }
        for id in [&authorized, &fresh, &cash] {
            assert_eq!(shop.order(id).await.json()["status"], "pending");
        }
        assert_eq!(expire().await.expect("an answer"), 0);
        let active = shop.read(customer, "/api/v1/me").await["active_orders"].as_array().map(Vec::len);
        assert_eq!(active, Some(3), "what expired is not under way");
        shop.close().await;
    }
}

#[tokio::test]
async fn an_order_that_waits_too_long_is_marked_once() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let (late, fresh) = (shop.guest_order().await.id, shop.guest_order().await.id);
        for (id, minutes) in [(&late, 30), (&fresh, 29)] {
            shop.bring_to(id, "ready").await;
            minutes_ago(&shop, id, "ready_at", minutes).await;
        }
        for marked in [1, 0] {
            let number = shop.send(MarkLateOrders { now: now() }).await.expect("an answer");
            assert_eq!(number, marked, "{engine:?}");
        }
        assert!(shop.order(&late).await.json()["late_at"].is_string());
        assert_eq!(shop.order(&fresh).await.json()["late_at"], Value::Null);
        let told =
            |events: Vec<crate::shop::Told>| events.iter().filter(|event| event.name == "order.late").count();
        assert_eq!((told(shop.events_of(&late).await), told(shop.events_of(&fresh).await)), (1, 0));
        shop.done(&late, "deliver").await;
        shop.close().await;
    }
}

#[tokio::test]
async fn the_daily_report_is_of_the_day_before_on_the_pizzerias_clock() {
    let opening = Opening::new().set("TIME_ZONE", "Pacific/Auckland").set("REPORT_TO", "mario@example.com");
    let shop = opening.open().await;
    let order = shop.guest_order().await.id;
    // Half past eleven at night on the 24th there.
    shop.change_one("orders", &order, |order| order["placed_at"] = json!("2026-11-24T10:30:00.000000Z"))
        .await;
    shop.bring_to(&order, "delivered").await;
    shop.settled().await;
    shop.rebuild_statistics().await;
    let morning = "2026-11-24T15:00:00Z".parse().expect("a time");
    for _ in 0..2 {
        shop.send(ReportDay { morning }).await.expect("a report");
    }
    let mail = shop.documents("outgoing_mail").await;
    let reports: Vec<_> = mail.iter().filter(|mail| mail["to"] == "mario@example.com").collect();
    assert_eq!(reports.len(), 1, "{mail:?}");
    assert_eq!(reports[0]["subject"], "Mario's Pizzeria on 2026-11-24");
    assert_eq!(reports[0]["text"], "Orders: 1\nDelivered: 1\nCancelled: 0\nRevenue: 38.78 USD\n");
    shop.close().await;
}

#[tokio::test]
async fn nobody_is_told_when_nobody_wants_the_report() {
    let shop = Shop::open().await;
    shop.send(ReportDay { morning: now() }).await.expect("nothing to do");
    assert_eq!(shop.documents("outgoing_mail").await, [] as [Value; 0]);
    shop.close().await;
}

/// Has a task run as it does at this time of its schedule, once, and waits until it has.
async fn tick<T: ScheduledTask>(shop: &Shop, due: Timestamp) {
    let run = NewWork {
        queue: QUEUE.to_owned(),
        payload: json!(due).to_string(),
        attempts_max: 1,
        correlation_id: Some("a-tick".to_owned()),
        ..job(&format!("schedule:{}", T::NAME))
    };
    let live = WorkFilter {
        id: Some(run.id),
        states: vec![WorkState::Waiting, WorkState::Scheduled, WorkState::Running],
        limit: 1,
        ..WorkFilter::default()
    };
    let store = shop.store();
    enqueue(&*store, [run]).await;
    eventually("it has run", async || store.list_work(&live).await.expect("a list").is_empty()).await;
}

#[tokio::test]
async fn no_order_is_given_up_or_late_before_its_time_where_a_clock_is_fast() {
    let minutes = |count: u64| Duration::from_secs(count * 60);
    let clock = Clock::manual(now() + minutes(5));
    let opening = Opening::new().on(Engine::Sqlite).services(move |services| {
        services.replace(Service::instance(clock.clone()));
    });
    let shop = opening.open().await;
    let (unpaid, waiting) = (shop.guest_order().await.id, shop.guest_order().await.id);
    pay_by_card(&shop, &unpaid, "failed").await;
    minutes_ago(&shop, &unpaid, "placed_at", 12).await;
    shop.bring_to(&waiting, "ready").await;
    minutes_ago(&shop, &waiting, "ready_at", 27).await;

    // Each is three minutes short of its time, which the clock of this process has seen pass.
    for (due, status, is_late) in [(now(), "pending", false), (now() + minutes(4), "cancelled", true)] {
        tick::<ExpireEveryMinute>(&shop, due).await;
        tick::<MarkLateEveryMinute>(&shop, due).await;
        assert_eq!(shop.order(&unpaid).await.json()["status"], status);
        assert_eq!(shop.order(&waiting).await.json()["late_at"].is_string(), is_late);
    }
    shop.close().await;
}

/// A pizzeria with one order more than a page has.
async fn busy_shop() -> Shop {
    let shop = Shop::open().await;
    for _ in 0..=PAGE_LIMIT_MAX {
        shop.guest_order().await;
    }
    shop.settled().await;
    shop
}

/// How many documents of a collection have this in this member.
async fn count(shop: &Shop, collection: &'static str, member: &str, what: impl Fn(&Value) -> bool) -> usize {
    shop.documents(collection).await.iter().filter(|document| what(&document[member])).count()
}

#[tokio::test]
async fn more_than_a_page_of_orders_expires_in_one_run() {
    let shop = busy_shop().await;
    let long_ago = now() - Duration::from_secs(60 * 60);
    let declined = json!({"method": "credit_card", "status": "failed", "source": null, "reference": null});
    shop.change("orders", |order| {
        order["payment"] = declined.clone();
        order["placed_at"] = json!(long_ago);
    })
    .await;
    tick::<ExpireEveryMinute>(&shop, now()).await;
    assert_eq!(count(&shop, "orders", "status", |status| status != "cancelled").await, 0);
    let told = shop.events().await.into_iter().filter(|event| event.name == "order.cancelled");
    let by: BTreeSet<_> = told.map(|event| event.correlation_id).collect();
    assert_eq!(by, BTreeSet::from([Some("a-tick".to_owned())]), "one run did all of it");
    shop.close().await;
}

#[tokio::test]
async fn more_than_a_page_of_orders_is_marked_late_in_one_run() {
    let shop = busy_shop().await;
    let long_ago = now() - Duration::from_secs(60 * 60);
    shop.change("orders", |order| {
        order["status"] = json!("ready");
        order["ready_at"] = json!(long_ago);
    })
    .await;
    tick::<MarkLateEveryMinute>(&shop, now()).await;
    assert_eq!(count(&shop, "orders", "late_at", Value::is_null).await, 0);
    shop.close().await;
}

#[tokio::test]
async fn more_than_a_page_of_the_feed_is_forgotten_in_one_run() {
    let shop = busy_shop().await;
    assert!(count(&shop, "feed_entries", "at", Value::is_string).await > PAGE_LIMIT_MAX as usize);
    shop.change("feed_entries", |entry| entry["at"] = json!("2026-01-01T00:00:00.000000Z")).await;
    tick::<TrimEveryMinute>(&shop, now()).await;
    assert_eq!(shop.documents("feed_entries").await, [] as [Value; 0]);
    shop.close().await;
}

#[tokio::test]
async fn more_than_a_page_of_webhooks_is_forgotten_in_one_run() {
    let shop = Shop::open().await;
    let heard = |number: u32| {
        let id = format!("m-{number}");
        let body = json!({"id": id, "at": "2026-01-01T00:00:00.000000Z"}).to_string();
        Write { collection: "payment_webhooks", id, change: Change::Insert { body } }
    };
    let writes = (0..=PAGE_LIMIT_MAX).map(heard).collect();
    let batch = Batch { at: now(), writes, ..Batch::default() };
    shop.store().commit(batch).await.expect("they are stored");
    tick::<ForgetEveryMinute>(&shop, now()).await;
    assert_eq!(shop.documents("payment_webhooks").await, [] as [Value; 0]);
    shop.close().await;
}
