//! What is kept by being used, and what is there once.

use std::sync::Arc;

use neuroglia::cache::CacheEngine;
use tokio::task::JoinSet;

use super::{LONG, SHORT, fresh, get, insert, is_gone, passes, remove, set};

pub(super) async fn an_insert_is_refused_while_there_is_a_value(engine: Arc<dyn CacheEngine>) {
    let key = fresh();
    assert!(insert(&*engine, &key, "one", LONG).await, "nothing was there");
    assert!(!insert(&*engine, &key, "two", LONG).await, "something was there");
    assert_eq!(get(&*engine, &key).await.as_deref(), Some("one"), "what was there stays");
}

pub(super) async fn an_insert_succeeds_after_the_end_of_the_value(engine: Arc<dyn CacheEngine>) {
    let (over, removed) = (fresh(), fresh());
    set(&*engine, &over, "one", SHORT).await;
    set(&*engine, &removed, "one", LONG).await;
    is_gone(&*engine, &over).await;
    remove(&*engine, &removed).await;
    for key in [over, removed] {
        assert!(insert(&*engine, &key, "two", LONG).await);
        assert_eq!(get(&*engine, &key).await.as_deref(), Some("two"));
    }
}

pub(super) async fn of_concurrent_inserts_one_succeeds(engine: Arc<dyn CacheEngine>) {
    let key = fresh();
    let mut inserts = JoinSet::new();
    for _ in 0..8 {
        let (engine, key) = (Arc::clone(&engine), key.clone());
        inserts.spawn(async move { insert(&*engine, &key, "one", LONG).await });
    }
    let outcomes = inserts.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome).count(), 1, "{outcomes:?}");
}

pub(super) async fn a_value_that_is_kept_outlives_its_time(engine: Arc<dyn CacheEngine>) {
    let key = fresh();
    set(&*engine, &key, "one", SHORT * 10).await;
    assert!(engine.keep(&key, LONG).await.expect("a value is kept"), "it was there");
    passes(&*engine, SHORT * 11).await;
    assert_eq!(get(&*engine, &key).await.as_deref(), Some("one"));
}

pub(super) async fn a_value_that_is_read_and_kept_outlives_its_time(engine: Arc<dyn CacheEngine>) {
    let key = fresh();
    set(&*engine, &key, "one", SHORT * 10).await;
    let found = engine.get_and_keep(&key, LONG).await.expect("a value is kept");
    assert_eq!(found.as_deref(), Some(&b"one"[..]));
    passes(&*engine, SHORT * 11).await;
    assert_eq!(get(&*engine, &key).await.as_deref(), Some("one"));
}

pub(super) async fn keeping_may_shorten_a_time(engine: Arc<dyn CacheEngine>) {
    let (kept, read) = (fresh(), fresh());
    set(&*engine, &kept, "one", LONG).await;
    set(&*engine, &read, "one", LONG).await;
    assert!(engine.keep(&kept, SHORT).await.expect("a value is kept"));
    engine.get_and_keep(&read, SHORT).await.expect("a value is kept");
    is_gone(&*engine, &kept).await;
    is_gone(&*engine, &read).await;
}

pub(super) async fn keeping_nothing_makes_nothing(engine: Arc<dyn CacheEngine>) {
    let key = fresh();
    assert!(!engine.keep(&key, LONG).await.expect("it is looked for"), "nothing was there");
    assert_eq!(engine.get_and_keep(&key, LONG).await.expect("it is looked for"), None);
    assert_eq!(get(&*engine, &key).await, None);
    assert!(insert(&*engine, &key, "one", LONG).await);
}

pub(super) async fn keeping_does_not_bring_back_what_was_removed(engine: Arc<dyn CacheEngine>) {
    for _ in 0..16 {
        let key = fresh();
        set(&*engine, &key, "one", LONG).await;
        let mut users = JoinSet::new();
        for user in 0..4 {
            let (engine, key) = (Arc::clone(&engine), key.clone());
            users.spawn(async move {
                if user == 2 {
                    // In the midst of them.
                    return remove(&*engine, &key).await;
                }
                // Who came too late is told, or finds that somebody else was quicker.
                let _ = engine.get_and_keep(&key, SHORT * 10).await;
                let _ = engine.keep(&key, LONG).await;
            });
        }
        users.join_all().await;
        assert_eq!(get(&*engine, &key).await, None, "it was removed");
    }
}
