//! The state machine of an order, and what happens when two take a step at once.

use std::collections::BTreeMap;

use futures_util::future::{join, join_all};
use neuroglia_testing::TestResponse;
use serde_json::json;

use crate::shop::{Engine, Opening, Shop};

const STATUSES: [&str; 7] =
    ["pending", "confirmed", "cooking", "ready", "delivering", "delivered", "cancelled"];

/// The steps, and the statuses from which each is allowed.
const STEPS: [(&str, &[&str]); 7] = [
    ("confirm", &["pending"]),
    ("cook", &["confirmed"]),
    ("ready", &["cooking"]),
    ("driver", &["confirmed", "cooking", "ready"]),
    ("deliver", &["ready"]),
    ("complete", &["delivering"]),
    ("cancel", &["pending", "confirmed"]),
];

#[tokio::test]
async fn a_step_from_a_wrong_status_names_the_right_one_and_changes_nothing() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).set("KITCHEN_CAPACITY", "100").open().await;
        let manager = &shop.people.manager.token;
        for status in STATUSES {
            let id = shop.guest_order().await.id;
            shop.bring_to(&id, status).await;
            let before = shop.order(&id).await;
            let told = shop.events_of(&id).await.len();
            for (step, needs) in STEPS.iter().filter(|(_, needs)| !needs.contains(&status)) {
                let refused = shop.step(&id, step).bearer(manager).send().await;
                let problem = refused.problem(409, "order.wrong_state");
                let detail = problem["detail"].as_str().expect("a text");
                let sentence = format!("the order is {status}; it must be {} to ", needs.join(" or "));
                assert!(detail.starts_with(&sentence), "{step} from {status}: {detail}");
                assert_eq!(problem["instance"], format!("/api/v1/orders/{id}/{step}"));
            }
            let after = shop.order(&id).await;
            assert_eq!(after.header("etag"), before.header("etag"), "{status}");
            assert_eq!(after.json(), before.json(), "{status}");
            assert_eq!(shop.events_of(&id).await.len(), told, "{status}");
        }
        shop.close().await;
    }
}

#[tokio::test]
async fn every_allowed_step_succeeds() {
    let shop = Opening::new().set("KITCHEN_CAPACITY", "100").open().await;
    for (step, needs) in STEPS {
        for status in needs {
            let id = shop.guest_order().await.id;
            shop.bring_to(&id, status).await;
            shop.done(&id, step).await;
        }
    }
    shop.close().await;
}

#[tokio::test]
async fn every_verb_on_an_unknown_order_names_the_id() {
    let shop = Shop::open().await;
    let manager = &shop.people.manager.token;
    let unknown = "0199aaaa-0000-7000-8000-000000000000";
    let mut answers: Vec<TestResponse> = Vec::new();
    for (step, _) in STEPS {
        answers.push(shop.step(unknown, step).bearer(manager).send().await);
    }
    answers.push(shop.get(&format!("/api/v1/orders/{unknown}")).bearer(manager).send().await);
    for answer in answers {
        let problem = answer.problem(404, "order.not_found");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(unknown)), "{problem}");
    }
    // What cannot be an id leads nowhere either.
    for path in ["/api/v1/orders/7", "/api/v1/orders/%00", "/api/v1/orders/'%20or%201=1"] {
        let answer = shop.get(path).bearer(manager).send().await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
    }
    shop.close().await;
}

#[tokio::test]
async fn a_cancellation_needs_a_reason() {
    let shop = Shop::open().await;
    let id = shop.guest_order().await.id;
    let path = format!("/api/v1/orders/{id}/cancel");
    let cancel =
        |reason: &str| shop.post(&path).bearer(&shop.people.manager.token).json(&json!({ "reason": reason }));
    for (reason, violation) in [("", "/reason required"), ("  ", "/reason required")] {
        let refused = cancel(reason).send().await;
        refused.problem(422, "request.invalid");
        assert_eq!(refused.violations(), [violation]);
    }
    let refused = cancel(&"x".repeat(501)).send().await;
    refused.problem(422, "request.invalid");
    assert_eq!(refused.violations(), ["/reason max_length"]);
    assert_eq!(shop.order(&id).await.json()["status"], "pending");
    cancel(&"x".repeat(500)).send().await.assert_status(200);
    shop.close().await;
}

#[tokio::test]
async fn a_driver_takes_what_is_free_and_the_manager_decides() {
    let shop = Shop::open().await;
    let people = &shop.people;
    let id = shop.guest_order().await.id;
    shop.bring_to(&id, "ready").await;

    let early = shop.step(&id, "deliver").bearer(&people.driver.token).send().await;
    early.problem(403, "order.not_assigned");
    let taken = shop.step(&id, "driver").bearer(&people.driver.token).send().await.assert_status(200).json();
    assert_eq!(taken["driver"], json!(people.driver.id));
    let again = shop.step(&id, "driver").bearer(&people.driver.token).send().await.assert_status(200);
    assert_eq!(again.json()["driver"], json!(people.driver.id), "the same again is fine");

    let late = shop.step(&id, "driver").bearer(&people.other_driver.token).send().await;
    let problem = late.problem(409, "order.driver_taken");
    assert!(!problem.to_string().contains(&people.driver.id), "who has it is nobody's business");
    let path = format!("/api/v1/orders/{id}/driver");
    let name = |person: &str| json!({ "driver": person });
    // A driver names nobody else.
    let push = shop.put(&path).bearer(&people.driver.token).json(&name(&people.other_driver.id)).send().await;
    push.problem(403, "auth.forbidden");

    let assign = |person: &str| shop.put(&path).bearer(&people.manager.token).json(&name(person));
    for nobody in ["nobody", "toad@id.example", &people.chef.id, &people.customer.id] {
        let refused = assign(nobody).send().await;
        refused.problem(422, "request.invalid");
        assert_eq!(refused.violations(), ["/driver driver.unknown"], "{nobody}");
    }
    let refused = assign("two words").send().await;
    assert_eq!(refused.violations(), ["/driver format"]);
    assign(&people.other_driver.id).send().await.assert_status(200);
    shop.step(&id, "deliver").bearer(&people.driver.token).send().await.problem(403, "order.not_assigned");
    shop.step(&id, "deliver").bearer(&people.other_driver.token).send().await.assert_status(200);

    let deliveries = shop.read(&people.driver, "/api/v1/deliveries").await;
    assert_eq!(deliveries["items"][0]["status"], "delivering");
    shop.step(&id, "complete").bearer(&people.driver.token).send().await.problem(403, "order.not_assigned");
    shop.step(&id, "complete").bearer(&people.other_driver.token).send().await.assert_status(200);
    let deliveries = shop.read(&people.driver, "/api/v1/deliveries").await;
    assert_eq!(deliveries["items"], json!([]));
    shop.close().await;
}

#[tokio::test]
async fn deliveries_show_what_waits_longest_first() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let mut orders = Vec::new();
        for _ in 0..3 {
            orders.push(shop.guest_order().await.id);
        }
        orders.reverse();
        for id in &orders {
            shop.bring_to(id, "ready").await;
        }
        shop.done(&orders[1], "deliver").await;
        let deliveries = shop.read(&shop.people.driver, "/api/v1/deliveries").await;
        assert_eq!(crate::shop::ids(&deliveries), orders);
        shop.close().await;
    }
}

fn count(answers: &[TestResponse]) -> BTreeMap<u16, usize> {
    answers.iter().fold(BTreeMap::new(), |mut counts, answer| {
        *counts.entry(answer.status.as_u16()).or_default() += 1;
        counts
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_steps_at_once_exactly_one_wins() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).set("KITCHEN_CAPACITY", "100").open().await;
        let manager = &shop.people.manager.token;
        for _ in 0..10 {
            let id = shop.guest_order().await.id;
            shop.bring_to(&id, "confirmed").await;
            let (cook, cancel) = join(
                shop.step(&id, "cook").bearer(manager).send(),
                shop.step(&id, "cancel").bearer(manager).send(),
            )
            .await;
            let (won, lost) = if cook.status == 200 { (&cook, &cancel) } else { (&cancel, &cook) };
            let status = won.clone().assert_status(200).json()["status"].clone();
            lost.problem(409, "order.wrong_state");

            let order = shop.order(&id).await.json();
            assert_eq!((&order["status"], &order["version"]), (&status, &json!(2)));
            let outbox = shop.events_of(&id).await;
            let names: Vec<_> = outbox.iter().map(|message| &*message.name).collect();
            let last = if status == "cooking" { "order.cooking.started" } else { "order.cancelled" };
            assert_eq!(names, ["order.created", "order.confirmed", last]);
            let kitchen = shop.read(&shop.people.chef, "/api/v1/kitchen").await;
            let cooks = kitchen["cooking"].as_array().expect("a list").contains(&json!(id));
            assert_eq!(cooks, status == "cooking");
        }
        shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_cancellations_exactly_one_succeeds() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let order = shop.guest_order().await;
        let cancel = || shop.step(&order.id, "cancel").header("x-tracking-token", &order.token).send();
        let answers = join_all((0..20).map(|_| cancel())).await;
        assert_eq!(count(&answers), BTreeMap::from([(200, 1), (409, 19)]), "{engine:?}");
        assert_eq!(shop.order(&order.id).await.json()["version"], 1);
        let outbox = shop.events_of(&order.id).await;
        assert_eq!(outbox.iter().filter(|message| message.name == "order.cancelled").count(), 1);
        shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_drivers_at_once_exactly_one_gets_the_order() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).set("KITCHEN_CAPACITY", "100").open().await;
        let people = &shop.people;
        for _ in 0..5 {
            let id = shop.guest_order().await.id;
            shop.bring_to(&id, "ready").await;
            let (first, second) = join(
                shop.step(&id, "driver").bearer(&people.driver.token).send(),
                shop.step(&id, "driver").bearer(&people.other_driver.token).send(),
            )
            .await;
            let (driver, late) =
                if first.status == 200 { (&people.driver, &second) } else { (&people.other_driver, &first) };
            late.problem(409, "order.driver_taken");
            assert_eq!(shop.order(&id).await.json()["driver"], json!(driver.id));
        }
        shop.close().await;
    }
}
