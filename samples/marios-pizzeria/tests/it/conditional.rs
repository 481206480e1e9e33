//! Versions as entity tags: what the client has is not sent again, and what it has not seen is not overwritten.

use http::Method;
use neuroglia_testing::TestResponse;
use serde_json::json;

use crate::shop::{Engine, Opening, Shop};

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let order = shop.guest_order().await;
        let path = format!("/api/v1/orders/{}", order.id);
        let look = |method: Method, condition: &str| {
            let request = shop.request(method, &path).header("x-tracking-token", &order.token);
            request.header("if-none-match", condition)
        };
        for condition in ["\"0\"", "W/\"0\"", "\"7\", \"0\"", "*"] {
            for method in [Method::GET, Method::HEAD] {
                let same = look(method, condition).send().await.assert_status(304);
                assert!(same.body.is_empty() && same.header("content-type").is_none(), "{condition}");
                assert_eq!(same.header("etag"), Some("\"0\""));
                assert_eq!(same.header("cache-control"), Some("private, no-cache"));
            }
        }
        look(Method::GET, "\"7\"").send().await.assert_status(200);
        shop.done(&order.id, "confirm").await;
        let changed = look(Method::GET, "\"0\"").send().await.assert_status(200);
        assert_eq!((changed.header("etag"), &changed.json()["version"]), (Some("\"1\""), &json!(1)));
        shop.close().await;
    }
}

#[tokio::test]
async fn a_step_on_a_version_that_was_not_seen_is_refused() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let manager = &shop.people.manager.token;
        let id = shop.guest_order().await.id;
        shop.done(&id, "confirm").await;
        let before = shop.order(&id).await.json();
        for step in ["cook", "driver", "cancel"] {
            for condition in ["\"0\"", "\"2\"", "W/\"1\"", "\"abc\""] {
                let refused = shop.step(&id, step).bearer(manager).header("if-match", condition).send().await;
                refused.problem(412, "version.mismatch");
            }
            for condition in ["1", "\"1", "\"1\", \"2\""] {
                let refused = shop.step(&id, step).bearer(manager).header("if-match", condition).send().await;
                refused.problem(400, "if_match.malformed");
            }
        }
        assert_eq!(shop.order(&id).await.json(), before);

        let cook = shop.step(&id, "cook").bearer(manager).header("if-match", "\"1\"").send().await;
        assert_eq!(cook.assert_status(200).header("etag"), Some("\"2\""));
        shop.step(&id, "ready").bearer(manager).header("if-match", "*").send().await.assert_status(200);
        shop.close().await;
    }
}

#[tokio::test]
async fn a_step_that_changes_nothing_gives_no_new_version() {
    let shop = Shop::open().await;
    let id = shop.guest_order().await.id;
    shop.done(&id, "confirm").await;
    let driver = &shop.people.driver.token;
    let first = shop.step(&id, "driver").bearer(driver).send().await.assert_status(200);
    let stored = shop.order(&id).await;
    assert_eq!(first.header("etag"), stored.header("etag"));
    assert_eq!(first.json(), stored.json());
    let again = shop.step(&id, "driver").bearer(driver).send().await.assert_status(200);
    let stored = shop.order(&id).await;
    assert_eq!(again.header("etag"), stored.header("etag"), "the tag is that of what is stored");
    assert_eq!(shop.events_of(&id).await.len(), 3, "nothing was told again");
    shop.close().await;
}

#[tokio::test]
async fn a_profile_that_was_not_seen_is_not_overwritten() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let customer = &shop.people.customer;
        let look = || shop.get("/api/v1/me").bearer(&customer.token);
        let write = |name: &str, seen: &str| {
            let contact = json!({ "name": name, "phone": customer.phone });
            shop.put("/api/v1/me").bearer(&customer.token).header("if-match", seen).json(&contact)
        };
        let empty = look().send().await.assert_status(200);
        assert!(is_at(&empty, 0));
        write("Daisy", "\"1\"").send().await.problem(412, "version.mismatch");
        let first = write("Daisy", "\"0\"").send().await.assert_status(200);
        assert!(is_at(&first, 1));
        let tag = first.header("etag").expect("a tag");
        look().header("if-none-match", tag).send().await.assert_status(304);
        // Another's profile may be at the same version, and a browser keeps what it was sent for this path.
        let other =
            shop.get("/api/v1/me").bearer(&shop.people.other_customer.token).header("if-none-match", tag);
        other.send().await.assert_status(200);

        let second = write("Daisy Mae", tag).send().await.assert_status(200);
        assert!(is_at(&second, 2));
        write("Eve", "\"1\"").send().await.problem(412, "version.mismatch");
        let seen = look().send().await;
        assert_eq!((is_at(&seen, 2), &seen.json()["name"]), (true, &json!("Daisy Mae")));
        shop.close().await;
    }
}

/// Whether an answer's tag is of this version; what is behind it is a digest.
fn is_at(answer: &TestResponse, version: u64) -> bool {
    answer.header("etag").is_some_and(|tag| tag.starts_with(&format!("\"{version}.")))
}
