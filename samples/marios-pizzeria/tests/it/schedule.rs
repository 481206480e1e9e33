//! What the scheduler does, each command as its task sends it.

use neuroglia::clock::Clock;
use pizzeria_application::orders::{ExpireUnpaidOrders, MarkLateOrders};
use pizzeria_application::statistics::ReportDay;
use serde_json::{Value, json};

use crate::shop::{Engine, Opening, Shop};

/// Has something of an order happened so many minutes ago.
async fn minutes_ago(shop: &Shop, id: &str, member: &str, minutes: u64) {
    let at = Clock::system().now() - std::time::Duration::from_secs(minutes * 60);
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

        assert_eq!(shop.send(ExpireUnpaidOrders {}).await.expect("an answer"), 2, "{engine:?}");
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
        assert_eq!(shop.send(ExpireUnpaidOrders {}).await.expect("an answer"), 0);
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
            assert_eq!(shop.send(MarkLateOrders {}).await.expect("an answer"), marked, "{engine:?}");
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
    shop.send(ReportDay { morning: Clock::system().now() }).await.expect("nothing to do");
    assert_eq!(shop.documents("outgoing_mail").await, [] as [Value; 0]);
    shop.close().await;
}
