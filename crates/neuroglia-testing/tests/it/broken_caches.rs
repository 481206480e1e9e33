//! The conformance suite of the cache finds what is wrong: engines with one defect each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use neuroglia::cache::{Answer, CacheEngine, MemoryCache, SharedLimits, Taken};
use neuroglia::clock::{Clock, Timestamp};
use neuroglia::error::Result;
use neuroglia::health::Details;
use neuroglia_testing::conformance::cache::{RULES, run};
use tokio::task::yield_now;

/// What is wrong with the engine.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Defect {
    None,
    CutsValues,
    IgnoresCase,
    NeverForgets,
    ForgetsEarly,
    KeepsTheFirstTime,
    RemovesNothing,
    InsertsOver,
    InsertsInTwoSteps,
    KeepsNothing,
    BringsBack,
    NeverRefuses,
    CountsWhatItRefuses,
    GivesSharesBackAtOnce,
    CountsAllTogether,
    TakesInTwoSteps,
}

struct Broken {
    inner: MemoryCache,
    clock: Clock,
    moments: Mutex<HashMap<String, Timestamp>>,
    defect: Defect,
}

impl Broken {
    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn key(&self, key: &str) -> String {
        if self.is(Defect::IgnoresCase) { key.to_lowercase() } else { key.to_owned() }
    }

    fn time(&self, ttl: Duration) -> Duration {
        match self.defect {
            Defect::NeverForgets => Duration::from_secs(3600),
            Defect::ForgetsEarly => ttl / 8,
            _ => ttl,
        }
    }

    fn moment(&self, key: &str) -> Option<Timestamp> {
        self.moments.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    fn remember(&self, key: &str, moment: Timestamp) {
        self.moments.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), moment);
    }
}

impl CacheEngine for Broken {
    fn engine(&self) -> &'static str {
        "broken"
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Bytes>> {
        Answer::later(async move { self.inner.get(&self.key(key)).await })
    }

    fn get_and_keep<'a>(&'a self, key: &'a str, ttl: Duration) -> Answer<'a, Option<Bytes>> {
        Answer::later(async move {
            let found = self.inner.get(&self.key(key)).await?;
            if self.is(Defect::BringsBack) {
                yield_now().await;
                if let Some(value) = found.clone() {
                    self.inner.set(key, value, ttl).await?;
                }
            } else if !self.is(Defect::KeepsNothing) {
                self.inner.keep(&self.key(key), ttl).await?;
            }
            Ok(found)
        })
    }

    fn set<'a>(&'a self, key: &'a str, mut value: Bytes, ttl: Duration) -> Answer<'a, ()> {
        Answer::later(async move {
            if self.is(Defect::CutsValues) {
                value.truncate(64 * 1024);
            }
            if self.is(Defect::KeepsTheFirstTime) && self.inner.get(key).await?.is_some() {
                return Ok(());
            }
            self.inner.set(&self.key(key), value, self.time(ttl)).await
        })
    }

    fn insert<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration) -> Answer<'a, bool> {
        Answer::later(async move {
            if self.is(Defect::InsertsOver) {
                return self.inner.set(key, value, ttl).await.map(|()| true);
            }
            if self.is(Defect::InsertsInTwoSteps) {
                if self.inner.get(key).await?.is_some() {
                    return Ok(false);
                }
                yield_now().await;
                return self.inner.set(key, value, ttl).await.map(|()| true);
            }
            self.inner.insert(&self.key(key), value, self.time(ttl)).await
        })
    }

    fn keep<'a>(&'a self, key: &'a str, ttl: Duration) -> Answer<'a, bool> {
        Answer::later(async move {
            if self.is(Defect::KeepsNothing) {
                return Ok(self.inner.get(key).await?.is_some());
            }
            self.inner.keep(&self.key(key), self.time(ttl)).await
        })
    }

    fn remove<'a>(&'a self, key: &'a str) -> Answer<'a, ()> {
        Answer::later(async move {
            if self.is(Defect::RemovesNothing) {
                return Ok(());
            }
            self.inner.remove(&self.key(key)).await
        })
    }

    fn check(&self) -> Answer<'_, Details> {
        self.inner.check()
    }

    fn limits(self: Arc<Self>) -> Option<Arc<dyn SharedLimits>> {
        Some(self)
    }
}

#[async_trait]
impl SharedLimits for Broken {
    fn is_quick(&self) -> bool {
        true
    }

    async fn take(&self, key: &str, period: Duration, share: Duration) -> Result<Taken> {
        let key = if self.is(Defect::CountsAllTogether) { "all" } else { key };
        let now = self.clock.now();
        let share = if self.is(Defect::GivesSharesBackAtOnce) { share / 10 } else { share };
        let before = self.moment(key);
        if self.is(Defect::TakesInTwoSteps) {
            yield_now().await;
        }
        let (taken, next) = Taken::of(before, now, period, share);
        match next {
            Some(moment) => self.remember(key, moment),
            None if self.is(Defect::CountsWhatItRefuses) => {
                self.remember(key, before.unwrap_or(now) + share / 100);
                return Ok(Taken { wait: taken.wait + share / 100, ..taken });
            }
            None if self.is(Defect::NeverRefuses) => return Ok(Taken { wait: Duration::ZERO, ..taken }),
            None => {}
        }
        Ok(taken)
    }
}

fn broken(defect: Defect) -> Arc<dyn CacheEngine> {
    let clock = Clock::system();
    let inner = MemoryCache::new(Default::default(), clock.clone());
    Arc::new(Broken { inner, clock, moments: Mutex::default(), defect })
}

#[tokio::test]
async fn a_wrapper_without_a_defect_breaks_no_rule() {
    run(async || broken(Defect::None)).await;
}

#[tokio::test]
async fn every_defect_is_found_by_the_rule_that_is_about_it() {
    for (defect, rule) in [
        (Defect::CutsValues, "a_value_is_there_as_it_was"),
        (Defect::IgnoresCase, "a_key_is_what_it_says_to_the_last_byte"),
        (Defect::ForgetsEarly, "a_value_is_gone_when_its_time_is_over"),
        (Defect::KeepsTheFirstTime, "a_later_value_takes_the_place_and_the_time_of_an_earlier_one"),
        (Defect::RemovesNothing, "a_removed_value_is_gone_and_removing_nothing_is_no_error"),
        (Defect::InsertsOver, "an_insert_is_refused_while_there_is_a_value"),
        (Defect::InsertsInTwoSteps, "of_concurrent_inserts_one_succeeds"),
        (Defect::KeepsNothing, "a_value_that_is_kept_outlives_its_time"),
        (Defect::KeepsNothing, "a_value_that_is_read_and_kept_outlives_its_time"),
        (Defect::KeepsNothing, "keeping_may_shorten_a_time"),
        (Defect::BringsBack, "keeping_does_not_bring_back_what_was_removed"),
        (Defect::NeverRefuses, "a_period_may_be_taken_at_once_and_no_more"),
        (Defect::CountsWhatItRefuses, "what_is_refused_costs_nothing"),
        (Defect::GivesSharesBackAtOnce, "a_share_comes_back_with_its_part_of_the_period"),
        (Defect::CountsAllTogether, "quotas_do_not_meet"),
        (Defect::TakesInTwoSteps, "of_concurrent_takers_a_periods_worth_succeeds"),
        (Defect::NeverForgets, "a_value_is_gone_when_its_time_is_over"),
    ] {
        let rule = RULES.iter().find(|known| known.name == rule).expect("the suite has the rule");
        assert!(rule.check(broken(defect)).await.is_err(), "{defect:?} must break {}", rule.name);
    }
}
