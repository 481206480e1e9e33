//! Whoever wrote, whoever is asked: all replicas of `web` know the same.

use super::{Engine, Town, report};
use crate::process::guest_order;

const COUNT: usize = 4;

#[test]
fn what_one_replica_wrote_every_other_one_reads_at_once() {
    let town = Town::found(Engine::Postgres);
    town.premises.hire("mario", "manager", "it is a me, mario");
    let replicas: Vec<_> = (0..COUNT).map(|_| town.open("web")).collect();
    // A session goes on wherever it is moved.
    let session = replicas[0].log_in("mario", "it is a me, mario");
    let authorization = [("authorization", format!("Bearer {session}"))];
    let authorization = authorization.each_ref().map(|(name, value)| (*name, value.as_str()));
    for (writer, one) in replicas.iter().enumerate() {
        for (reader, other) in replicas.iter().enumerate() {
            let key = format!("{writer}-{reader}");
            let order = guest_order("+1 555 0100", &key);
            let placed = one.post("/api/v1/orders", &[("idempotency-key", &key)], &order);
            assert_eq!(placed.status, 201, "{}", placed.text());
            let path = placed.header("location").expect("it says where the order is").to_owned();
            let seen = other.connect().request("GET", &path, &authorization, b"").expect("an answer");
            assert_eq!(seen.status, 200, "{key}: {}", seen.text());
            assert_eq!(seen.json()["id"], placed.json()["id"]);

            let again = other.post("/api/v1/orders", &[("idempotency-key", &key)], &order);
            assert_eq!(again.header("idempotency-replayed"), Some("true"), "{key}: {}", again.text());
            assert_eq!(again.json()["id"], placed.json()["id"]);

            let next = &replicas[(reader + 1) % COUNT];
            let tag = seen.header("etag").expect("an order has a tag");
            let headers = [&authorization[..], &[("if-match", tag)]].concat();
            let confirmed =
                next.connect().request("POST", &format!("{path}/confirm"), &headers, b"").expect("an answer");
            assert_eq!(confirmed.status, 200, "{key}: {}", confirmed.text());
            let seen = one.connect().request("GET", &path, &authorization, b"").expect("an answer");
            assert_eq!(seen.json()["status"], "confirmed", "{key}: {}", seen.text());
        }
    }
    report(&format!(
        "Postgres: {COUNT} replicas, all {} pairs: what one wrote the other read at once",
        COUNT * COUNT
    ));
    for replica in replicas {
        replica.close().assert_code(0);
    }
}
