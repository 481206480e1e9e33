//! Values: there as they were, for their time and not longer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use neuroglia::cache::{CacheEngine, ENTRY_BYTES_MAX};
use tokio::time::Instant;

use super::{LONG, SHORT, fresh, get, is_gone, passes, remove, set};

pub(super) async fn an_unknown_key_is_none(engine: Arc<dyn CacheEngine>) {
    assert_eq!(get(&*engine, &fresh()).await, None);
}

pub(super) async fn a_value_is_there_as_it_was(engine: Arc<dyn CacheEngine>) {
    let all_bytes: Vec<u8> = (0..=255).collect();
    for value in [Vec::new(), b"{}".to_vec(), b"\r\n".to_vec(), all_bytes, vec![7; ENTRY_BYTES_MAX]] {
        let key = fresh();
        engine.set(&key, Bytes::from(value.clone()), LONG).await.expect("a value is set");
        let found = engine.get(&key).await.expect("a key is looked up").expect("it was set");
        assert!(found == value, "{} bytes came back as {} others", value.len(), found.len());
        remove(&*engine, &key).await;
    }
}

pub(super) async fn a_key_is_what_it_says_to_the_last_byte(engine: Arc<dyn CacheEngine>) {
    let key = fresh();
    let others = ["a", "A", "a ", " a", "a\n", "a*", "*", "a\u{1}", "ä", "a%", "'; --", "🍕", ""];
    for other in others {
        set(&*engine, &format!("{key}:{other}"), other, LONG).await;
    }
    for other in others {
        let found = get(&*engine, &format!("{key}:{other}")).await;
        assert_eq!(found.as_deref(), Some(other), "keys were mixed up");
    }
}

pub(super) async fn a_later_value_takes_the_place_and_the_time_of_an_earlier_one(
    engine: Arc<dyn CacheEngine>,
) {
    let (longer, shorter) = (fresh(), fresh());
    set(&*engine, &longer, "one", SHORT).await;
    set(&*engine, &longer, "two", LONG).await;
    set(&*engine, &shorter, "one", LONG).await;
    set(&*engine, &shorter, "two", SHORT).await;
    passes(&*engine, SHORT * 2).await;
    assert_eq!(get(&*engine, &longer).await.as_deref(), Some("two"), "the later time counts");
    is_gone(&*engine, &shorter).await;
}

pub(super) async fn a_removed_value_is_gone_and_removing_nothing_is_no_error(engine: Arc<dyn CacheEngine>) {
    let key = fresh();
    set(&*engine, &key, "one", LONG).await;
    remove(&*engine, &key).await;
    assert_eq!(get(&*engine, &key).await, None);
    remove(&*engine, &key).await;
}

pub(super) async fn a_value_is_gone_when_its_time_is_over(engine: Arc<dyn CacheEngine>) {
    let (key, lasting) = (fresh(), fresh());
    let time = Duration::from_millis(400);
    let began = Instant::now();
    set(&*engine, &key, "one", time).await;
    set(&*engine, &lasting, "two", LONG).await;
    if get(&*engine, &key).await.is_none() {
        assert!(began.elapsed() >= time, "it went before its time was over");
    }
    is_gone(&*engine, &key).await;
    // An engine may count in milliseconds, by a clock that is not ours.
    assert!(began.elapsed() >= time - Duration::from_millis(5), "it went after {:?}", began.elapsed());
    assert_eq!(get(&*engine, &lasting).await.as_deref(), Some("two"), "another one's time was not over");
}

pub(super) async fn the_longest_time_is_a_time(engine: Arc<dyn CacheEngine>) {
    let (longest, shortest) = (fresh(), fresh());
    set(&*engine, &longest, "one", Duration::MAX).await;
    assert_eq!(get(&*engine, &longest).await.as_deref(), Some("one"));
    remove(&*engine, &longest).await;
    set(&*engine, &shortest, "one", Duration::ZERO).await;
    is_gone(&*engine, &shortest).await;
}

pub(super) async fn an_engine_tells_that_it_answers(engine: Arc<dyn CacheEngine>) {
    engine.check().await.expect("it answers");
    assert!(!engine.engine().is_empty());
}
