//! The cache as applications see it, and sessions on it: what fails open, and what fails closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use neuroglia_core::cache::{
    Answer, Cache, CacheEngine, ENTRY_BYTES_MAX, KEY_BYTES_MAX, Keyspace, MemoryCache, SESSION_BYTES_MAX,
    SessionSettings, Sessions, StoredEntries,
};
use neuroglia_core::clock::{Clock, Timestamp};
use neuroglia_core::data::memory::MemoryStore;
use neuroglia_core::data::{Condition, Migration, Select, Store};
use neuroglia_core::error::{Error, ErrorKind, Result};
use neuroglia_core::health::Details;
use neuroglia_core::id::Ids;
use neuroglia_core::identity::Identity;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

const LONG: Duration = Duration::from_secs(600);

/// A cache in memory that a test can take away, or have take its time.
struct Fickle {
    inner: MemoryCache,
    is_away: AtomicBool,
    pause_ms: AtomicU64,
}

impl Fickle {
    fn with(clock: &Clock) -> Arc<Self> {
        let inner = MemoryCache::new(Default::default(), clock.clone());
        Arc::new(Self { inner, is_away: AtomicBool::new(false), pause_ms: AtomicU64::new(0) })
    }

    fn answer<'a, T: Send + Unpin + 'a>(
        &'a self,
        answer: impl FnOnce(&'a MemoryCache) -> Answer<'a, T> + Send + 'a,
    ) -> Answer<'a, T> {
        if self.is_away.load(Ordering::SeqCst) {
            return Answer::later(async { Err(Error::unavailable("the test has taken it away")) });
        }
        match self.pause_ms.load(Ordering::SeqCst) {
            0 => answer(&self.inner),
            pause => Answer::later(async move {
                sleep(Duration::from_millis(pause)).await;
                answer(&self.inner).await
            }),
        }
    }
}

impl CacheEngine for Fickle {
    fn engine(&self) -> &'static str {
        "fickle"
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Bytes>> {
        self.answer(move |inner| inner.get(key))
    }

    fn get_and_keep<'a>(&'a self, key: &'a str, ttl: Duration) -> Answer<'a, Option<Bytes>> {
        self.answer(move |inner| inner.get_and_keep(key, ttl))
    }

    fn set<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration) -> Answer<'a, ()> {
        self.answer(move |inner| inner.set(key, value, ttl))
    }

    fn insert<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration) -> Answer<'a, bool> {
        self.answer(move |inner| inner.insert(key, value, ttl))
    }

    fn keep<'a>(&'a self, key: &'a str, ttl: Duration) -> Answer<'a, bool> {
        self.answer(move |inner| inner.keep(key, ttl))
    }

    fn remove<'a>(&'a self, key: &'a str) -> Answer<'a, ()> {
        self.answer(move |inner| inner.remove(key))
    }

    fn check(&self) -> Answer<'_, Details> {
        self.answer(|inner| inner.check())
    }
}

fn clock() -> Clock {
    Clock::manual("2026-11-23T22:31:00Z".parse::<Timestamp>().expect("a time"))
}

fn cache(engine: &Arc<Fickle>) -> Cache {
    Cache::new(Arc::clone(engine) as Arc<dyn CacheEngine>, "shop", Ids::random())
}

#[tokio::test]
async fn no_request_fails_for_a_cache_that_is_away() {
    let engine = Fickle::with(&clock());
    let cache = cache(&engine);
    cache.set("menu", "margherita", LONG).await;
    engine.is_away.store(true, Ordering::SeqCst);
    assert_eq!(cache.get::<String>("menu").await, None);
    cache.set("menu", "hawaiian", LONG).await;
    for _ in 0..2 {
        let computed = cache.get_or_compute("menu", LONG, || async { Ok("computed".to_owned()) }).await;
        assert_eq!(computed.expect("it is computed"), "computed");
    }
    assert_eq!(cache.remove("menu").await.map_err(|error| error.kind()), Err(ErrorKind::Unavailable));
    engine.is_away.store(false, Ordering::SeqCst);
    assert_eq!(cache.get::<String>("menu").await.as_deref(), Some("margherita"));
    let meter = cache.meter();
    assert!(meter.failures.load(Ordering::SeqCst) >= 5);
    assert_eq!(
        meter.latency.classes().map(|(_, count)| count).sum::<u64>(),
        meter.failures.load(Ordering::SeqCst)
    );
}

#[tokio::test]
async fn of_many_who_miss_one_computes_and_errors_are_not_kept() {
    let engine = Fickle::with(&clock());
    let cache = cache(&engine);
    let failed: Result<u32> =
        cache.get_or_compute("figure", LONG, || async { Err(Error::unavailable("no store")) }).await;
    assert_eq!(failed.map_err(|error| error.kind()), Err(ErrorKind::Unavailable));
    for is_away in [false, true] {
        engine.is_away.store(is_away, Ordering::SeqCst);
        cache.remove("figure").await.ok();
        let computed = Arc::new(AtomicUsize::new(0));
        let mut askers = JoinSet::new();
        for _ in 0..50 {
            let (cache, computed) = (cache.clone(), Arc::clone(&computed));
            askers.spawn(async move {
                let compute = || async {
                    computed.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    Ok(42)
                };
                cache.get_or_compute("figure", LONG, compute).await.expect("it is computed")
            });
        }
        assert_eq!(askers.join_all().await, vec![42; 50]);
        assert_eq!(computed.load(Ordering::SeqCst), 1, "away: {is_away}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_answers_each_time_just_in_time_is_not_waited_for_each_time() {
    let engine = Fickle::with(&clock());
    let cache = cache(&engine);
    for (key, pause, is_kept) in [("slow", 200, false), ("slower", 249, false), ("brisk", 80, true)] {
        engine.pause_ms.store(pause, Ordering::SeqCst);
        let began = Instant::now();
        let computed = cache.get_or_compute(key, LONG, || async { Ok(7_u32) }).await;
        assert_eq!(computed.expect("it is computed"), 7);
        let waited = began.elapsed();
        assert!(waited <= Duration::from_millis(252), "{key}: {waited:?}");
        engine.pause_ms.store(0, Ordering::SeqCst);
        assert_eq!(cache.get::<u32>(key).await.is_some(), is_kept, "{key}");
    }
    // How long it computes is another matter.
    engine.pause_ms.store(80, Ordering::SeqCst);
    let long = || async {
        sleep(LONG).await;
        Ok(8_u32)
    };
    cache.get_or_compute("long", LONG, long).await.expect("it is computed");
    engine.pause_ms.store(0, Ordering::SeqCst);
    assert_eq!(cache.get::<u32>("long").await, Some(8));
}

#[tokio::test]
async fn what_was_computed_of_before_a_removal_is_not_kept() {
    let engine = Fickle::with(&clock());
    let cache = cache(&engine);
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let old = tokio::spawn({
        let (cache, begun, go_on) = (cache.clone(), Arc::clone(&begun), Arc::clone(&go_on));
        async move {
            let compute = || async {
                begun.notify_one();
                go_on.notified().await;
                Ok("old".to_owned())
            };
            cache.get_or_compute("menu", LONG, compute).await
        }
    });
    begun.notified().await;
    cache.remove("menu").await.expect("memory answers");
    // Whoever asks now does not wait for what was read before.
    let new = cache.get_or_compute("menu", LONG, || async { Ok("new".to_owned()) });
    let new = timeout(Duration::from_secs(20), new).await.expect("nobody is waited for");
    assert_eq!(new.expect("it is computed"), "new");
    go_on.notify_one();
    assert_eq!(old.await.expect("no panic").expect("it is computed"), "old");
    assert_eq!(cache.get::<String>("menu").await.as_deref(), Some("new"));
}

#[tokio::test(start_paused = true)]
async fn what_was_removed_while_it_was_being_kept_is_gone() {
    let engine = Fickle::with(&clock());
    let cache = cache(&engine);
    engine.pause_ms.store(50, Ordering::SeqCst);
    let computing = cache.get_or_compute("menu", LONG, || async { Ok("old".to_owned()) });
    let removing = async {
        // Both looks and half of the writing.
        sleep(Duration::from_millis(125)).await;
        engine.pause_ms.store(0, Ordering::SeqCst);
        cache.remove("menu").await
    };
    let (computed, removed) = tokio::join!(computing, removing);
    assert_eq!(computed.expect("it is computed"), "old");
    removed.expect("memory answers");
    assert_eq!(cache.get::<String>("menu").await, None);
}

#[tokio::test]
async fn a_value_ends_within_its_time_and_not_all_at_once() {
    let clock = clock();
    let engine = Fickle::with(&clock);
    let cache = cache(&engine);
    for number in 0..100 {
        cache.set(&number.to_string(), &number, Duration::from_secs(100)).await;
    }
    let alive = async || {
        let mut alive = 0;
        for number in 0..100 {
            alive += usize::from(cache.get::<u32>(&number.to_string()).await.is_some());
        }
        alive
    };
    clock.advance(Duration::from_secs(89));
    assert_eq!(alive().await, 100);
    clock.advance(Duration::from_secs(6));
    let left = alive().await;
    assert!((10..90).contains(&left), "{left} of 100 after 95 of 100 seconds");
    clock.advance(Duration::from_secs(5));
    assert_eq!(alive().await, 0);
}

#[tokio::test]
async fn what_cannot_be_read_or_is_too_large_is_a_miss() {
    let engine = Fickle::with(&clock());
    let cache = cache(&engine);
    cache.set("menu", "margherita", LONG).await;
    assert_eq!(cache.get::<u32>("menu").await, None, "another release wrote it");
    let repaired = cache.get_or_compute("menu", LONG, || async { Ok(7_u32) }).await;
    assert_eq!((repaired.expect("it is computed"), cache.get::<u32>("menu").await), (7, Some(7)));

    let huge = "x".repeat(ENTRY_BYTES_MAX);
    let computed = cache.get_or_compute("huge", LONG, || async { Ok(huge.clone()) }).await;
    assert_eq!(computed.expect("it is computed").len(), ENTRY_BYTES_MAX);
    assert_eq!(cache.get::<String>("huge").await, None);
    let long = "k".repeat(KEY_BYTES_MAX);
    cache.set(&long, "value", LONG).await;
    assert_eq!(cache.get::<String>(&long).await, None);
    assert_eq!(cache.meter().oversized.load(Ordering::SeqCst), 3);
    assert_eq!(engine.inner.entries(), 1);
}

#[tokio::test]
async fn namespaces_do_not_meet() {
    let engine = Fickle::with(&clock());
    let cache = cache(&engine);
    cache.set("key", "shop", LONG).await;
    cache.namespace("menu").set("key", "menu", LONG).await;
    assert_eq!(cache.get::<String>("key").await.as_deref(), Some("shop"));
    assert_eq!(cache.get::<String>("menu:key").await.as_deref(), Some("menu"), "it is where it says");
    let found = engine.inner.get("shop:menu:key").await.expect("memory answers");
    assert_eq!(found.as_deref(), Some(&b"\"menu\""[..]));
}

fn sessions(engine: &Arc<Fickle>, clock: &Clock) -> Sessions {
    let settings =
        SessionSettings { idle_timeout: Duration::from_secs(1800), lifetime: Duration::from_secs(43_200) };
    let engine = Arc::clone(engine) as Arc<dyn CacheEngine>;
    Sessions::new(engine, &Keyspace::of("shop"), settings, clock.clone(), Ids::random())
}

fn chef() -> Identity {
    Identity::known("u-1", "Luigi", ["chef"])
}

#[tokio::test]
async fn what_is_lost_or_ended_never_comes_back() {
    let clock = clock();
    let engine = Fickle::with(&clock);
    let sessions = sessions(&engine, &clock);
    let id = sessions.begin(&chef(), None).await.expect("it is kept");
    assert!(sessions.find(id.expose()).await.expect("memory answers").is_some());
    sessions.end_all("u-1").await.expect("memory answers");
    let new = sessions.begin(&chef(), None).await.expect("it is kept");
    assert!(sessions.find(id.expose()).await.expect("memory answers").is_none(), "of the generation before");
    assert!(sessions.find(new.expose()).await.expect("memory answers").is_some());
    for text in ["", "nobody", &"f".repeat(64), &"f".repeat(1000)] {
        assert!(sessions.find(text).await.expect("memory answers").is_none(), "{text}");
    }
}

#[tokio::test]
async fn a_session_that_is_used_lives_to_the_end_of_its_lifetime_and_not_longer() {
    let clock = clock();
    let engine = Fickle::with(&clock);
    let sessions = sessions(&engine, &clock);
    // Another one, earlier, of the same generation.
    sessions.begin(&chef(), None).await.expect("it is kept");
    clock.advance(Duration::from_secs(4_000));
    let id = sessions.begin(&chef(), None).await.expect("it is kept");
    for _ in 0..43 {
        clock.advance(Duration::from_secs(1_000));
        assert!(sessions.find(id.expose()).await.expect("memory answers").is_some());
    }
    clock.advance(Duration::from_secs(200));
    assert!(sessions.find(id.expose()).await.expect("memory answers").is_none());
}

#[tokio::test]
async fn a_session_that_cannot_be_kept_or_read_is_an_error() {
    let clock = clock();
    let engine = Fickle::with(&clock);
    let sessions = sessions(&engine, &clock);
    let kind = |outcome: Result<_>| outcome.map(drop).map_err(|error: Error| error.kind());
    let id = sessions.begin(&chef(), None).await.expect("it is kept");
    assert_eq!(
        kind(sessions.begin(&Identity::anonymous(), None).await.map(|_| ())),
        Err(ErrorKind::Unauthenticated)
    );
    let large = Identity::known("u-2", "x".repeat(SESSION_BYTES_MAX), ["chef"]);
    assert_eq!(kind(sessions.begin(&large, None).await.map(|_| ())), Err(ErrorKind::Invalid));
    engine.is_away.store(true, Ordering::SeqCst);
    let unavailable = Err(ErrorKind::Unavailable);
    assert_eq!(kind(sessions.find(id.expose()).await.map(|_| ())), unavailable);
    assert_eq!(kind(sessions.begin(&chef(), None).await.map(|_| ())), unavailable);
    assert_eq!(kind(sessions.end(id.expose()).await), unavailable);
    assert_eq!(kind(sessions.end_all("u-1").await), unavailable);
}

#[tokio::test]
async fn what_is_over_in_the_store_is_deleted_however_much_it_is() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    // An application that made the collection itself goes on as before.
    let migration = Migration { version: 1, name: "entries", steps: StoredEntries::steps() };
    store.migrate(&[migration], clock.now()).await.expect("what is there is passed by");
    let entries = StoredEntries::new(Arc::clone(&store) as Arc<dyn Store>, clock.clone());
    for number in 0..1_000 {
        let kept = entries.set(&format!("over-{number}"), Bytes::new(), Duration::from_secs(1)).await;
        kept.expect("it is kept");
    }
    clock.advance(LONG);
    entries.set("new", Bytes::new(), LONG).await.expect("it is kept");
    let all =
        Select { collection: "kept_entries", condition: Condition::All(vec![]), sort: vec![], limit: 10_000 };
    let deleting = async {
        while store.query(&all).await.expect("it answers").len() > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), deleting).await.expect("one round deletes all of it");
}
