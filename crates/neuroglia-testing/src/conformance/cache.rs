//! What every engine of the cache port must do, rule by rule.
//!
//! An engine's tests give a function that makes one, and get one test for each rule:
//!
//! ```
//! mod memory {
//!     use std::sync::Arc;
//!     use neuroglia::cache::{CacheEngine, MemoryCache};
//!     use neuroglia::clock::Clock;
//!
//!     async fn make() -> Arc<dyn CacheEngine> {
//!         Arc::new(MemoryCache::new(Default::default(), Clock::system()))
//!     }
//!     neuroglia_testing::cache_conformance!(make);
//! }
//! ```
//!
//! What must live as long as the engine, such as a server, comes as a pair with it. The rules use keys of their own, so
//! that one server may serve all of them at once. Those about quotas hold for an engine that counts for several
//! processes. The suite is itself tested: engines that are wrong in one way each must fail it.

mod keeping;
mod limits;
mod values;

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use neuroglia::cache::CacheEngine;
use neuroglia::id::Ids;
use tokio::time::{Instant, sleep};

/// An engine that is examined, and what must live as long as it.
pub struct Subject {
    engine: Arc<dyn CacheEngine>,
    _kept: Box<dyn Any + Send>,
}

impl From<Arc<dyn CacheEngine>> for Subject {
    fn from(engine: Arc<dyn CacheEngine>) -> Self {
        Self { engine, _kept: Box::new(()) }
    }
}

impl<K: Any + Send> From<(Arc<dyn CacheEngine>, K)> for Subject {
    fn from((engine, kept): (Arc<dyn CacheEngine>, K)) -> Self {
        Self { engine, _kept: Box::new(kept) }
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({})", self.engine.engine())
    }
}

/// What holds an engine to a rule.
type Check = fn(Arc<dyn CacheEngine>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// One rule: an engine that breaks it makes it panic with the reason.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// What it is about.
    pub group: &'static str,
    /// What it says.
    pub name: &'static str,
    check: Check,
}

macro_rules! rules {
    (($d:tt) $($group:ident { $($name:ident,)+ })+) => {
        /// Every rule.
        pub const RULES: &[Rule] = &[$($(
            Rule {
                group: stringify!($group),
                name: stringify!($name),
                check: |engine| Box::pin($group::$name(engine)),
            },
        )+)+];

        /// One `#[test]` for each rule of the [cache port](crate::conformance::cache).
        ///
        /// Its argument is a function, or a closure, that makes an engine: its future gives an `Arc<dyn CacheEngine>`,
        /// or a pair of one and of what must live as long as it.
        #[macro_export]
        macro_rules! cache_conformance {
            ($d make:expr) => {
                $($(
                    #[test]
                    fn $name() {
                        $crate::conformance::cache::check(stringify!($name), $d make);
                    }
                )+)+
            };
        }
    };
}

rules! { ($)
    values {
        an_unknown_key_is_none,
        a_value_is_there_as_it_was,
        a_key_is_what_it_says_to_the_last_byte,
        a_later_value_takes_the_place_and_the_time_of_an_earlier_one,
        a_removed_value_is_gone_and_removing_nothing_is_no_error,
        a_value_is_gone_when_its_time_is_over,
        the_longest_time_is_a_time,
        an_engine_tells_that_it_answers,
    }
    keeping {
        an_insert_is_refused_while_there_is_a_value,
        an_insert_succeeds_after_the_end_of_the_value,
        of_concurrent_inserts_one_succeeds,
        a_value_that_is_kept_outlives_its_time,
        a_value_that_is_read_and_kept_outlives_its_time,
        keeping_may_shorten_a_time,
        keeping_nothing_makes_nothing,
        keeping_does_not_bring_back_what_was_removed,
    }
    limits {
        a_period_may_be_taken_at_once_and_no_more,
        a_share_comes_back_with_its_part_of_the_period,
        what_is_refused_costs_nothing,
        quotas_do_not_meet,
        of_concurrent_takers_a_periods_worth_succeeds,
    }
}

impl Rule {
    /// Checks it against an engine.
    ///
    /// # Errors
    /// Why the engine breaks the rule.
    pub async fn check(self, subject: impl Into<Subject>) -> Result<(), String> {
        let subject = subject.into();
        let checked = tokio::spawn((self.check)(Arc::clone(&subject.engine))).await;
        drop(subject);
        checked.map_err(|stopped| match stopped.try_into_panic() {
            Ok(panic) => match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
                (Some(text), _) => text.clone(),
                (None, Some(text)) => (*text).to_owned(),
                (None, None) => "a panic without a text".to_owned(),
            },
            Err(stopped) => stopped.to_string(),
        })
    }
}

/// Checks every rule, each against an engine of its own.
///
/// # Panics
/// With every rule that the engine breaks, and how.
pub async fn run<S: Into<Subject>, F: Future<Output = S>>(make: impl Fn() -> F) {
    let mut broken = Vec::new();
    for rule in RULES {
        if let Err(why) = rule.check(make().await).await {
            broken.push(format!("{}::{}: {why}", rule.group, rule.name));
        }
    }
    assert!(broken.is_empty(), "the engine breaks {} rules:\n{}", broken.len(), broken.join("\n"));
}

#[doc(hidden)]
pub fn check<S: Into<Subject>, F: Future<Output = S>>(name: &str, make: impl Fn() -> F) {
    let rule = RULES.iter().find(|rule| rule.name == name).expect("the macro names only rules of the table");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a machine that runs tests has a thread to spare");
    if let Err(why) = runtime.block_on(async { rule.check(make().await).await }) {
        panic!("{why}");
    }
}

// What the rules are written in.

/// Longer than any rule takes.
const LONG: Duration = Duration::from_secs(600);

/// A time whose end a rule waits for.
const SHORT: Duration = Duration::from_millis(60);

/// How long something is waited for that must come.
const PATIENCE: Duration = Duration::from_secs(5);

/// A key that nobody else has.
fn fresh() -> String {
    format!("conformance:{}", Ids::random().next_uuid().simple())
}

async fn set(engine: &dyn CacheEngine, key: &str, value: &'static str, ttl: Duration) {
    engine.set(key, Bytes::from_static(value.as_bytes()), ttl).await.expect("a value is set");
}

async fn insert(engine: &dyn CacheEngine, key: &str, value: &'static str, ttl: Duration) -> bool {
    engine.insert(key, Bytes::from_static(value.as_bytes()), ttl).await.expect("a value is inserted")
}

async fn get(engine: &dyn CacheEngine, key: &str) -> Option<String> {
    let found = engine.get(key).await.expect("a key is looked up");
    found.map(|bytes| String::from_utf8(bytes.to_vec()).expect("it was a text"))
}

async fn remove(engine: &dyn CacheEngine, key: &str) {
    engine.remove(key).await.expect("a value is removed");
}

/// Waits until a key has nothing any more.
async fn is_gone(engine: &dyn CacheEngine, key: &str) {
    let began = Instant::now();
    while get(engine, key).await.is_some() {
        assert!(began.elapsed() < PATIENCE, "the time of a value was over long ago, and it is still there");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the engine has let this time pass, by a value whose end can be seen.
async fn passes(engine: &dyn CacheEngine, time: Duration) {
    let marker = fresh();
    set(engine, &marker, "marker", time).await;
    is_gone(engine, &marker).await;
}
