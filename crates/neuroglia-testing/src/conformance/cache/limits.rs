//! Quotas: what one process has taken no other one can take.

use std::sync::Arc;
use std::time::Duration;

use neuroglia::cache::{CacheEngine, SharedLimits, Taken};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{PATIENCE, fresh};

const PERIOD: Duration = Duration::from_secs(600);

async fn take(limits: &dyn SharedLimits, key: &str, period: Duration, shares: u32) -> Taken {
    limits.take(key, period, period / shares).await.expect("a share is asked for")
}

pub(super) async fn a_period_may_be_taken_at_once_and_no_more(engine: Arc<dyn CacheEngine>) {
    let Some(limits) = engine.limits() else { return };
    let key = fresh();
    for number in 1..=3 {
        let taken = take(&*limits, &key, PERIOD, 3).await;
        assert_eq!(taken.wait, Duration::ZERO, "share {number} of 3: {taken:?}");
        let share = PERIOD / 3 * number;
        assert!(taken.used <= share && taken.used >= share - PATIENCE, "share {number} of 3: {taken:?}");
    }
    let refused = take(&*limits, &key, PERIOD, 3).await;
    let share = PERIOD / 3;
    assert!(refused.wait <= share && refused.wait >= share - PATIENCE, "{refused:?}");
    assert!(refused.used <= PERIOD && refused.used >= PERIOD - PATIENCE, "{refused:?}");
}

pub(super) async fn a_share_comes_back_with_its_part_of_the_period(engine: Arc<dyn CacheEngine>) {
    let Some(limits) = engine.limits() else { return };
    let (key, period) = (fresh(), Duration::from_secs(1));
    let began = Instant::now();
    for _ in 0..10 {
        take(&*limits, &key, period, 10).await;
    }
    let mut later = 0;
    while later < 3 {
        if take(&*limits, &key, period, 10).await.wait.is_zero() {
            later += 1;
        }
        assert!(began.elapsed() < PATIENCE, "no share came back");
        sleep(Duration::from_millis(5)).await;
    }
    let elapsed = began.elapsed();
    assert!(elapsed >= Duration::from_millis(290), "three tenths of a second came back after {elapsed:?}");
}

pub(super) async fn what_is_refused_costs_nothing(engine: Arc<dyn CacheEngine>) {
    let Some(limits) = engine.limits() else { return };
    let key = fresh();
    take(&*limits, &key, PERIOD, 1).await;
    let first = take(&*limits, &key, PERIOD, 1).await;
    for _ in 0..20 {
        let again = take(&*limits, &key, PERIOD, 1).await;
        assert!(again.wait <= first.wait, "{first:?}, and then {again:?}");
    }
}

pub(super) async fn quotas_do_not_meet(engine: Arc<dyn CacheEngine>) {
    let Some(limits) = engine.limits() else { return };
    let key = fresh();
    for other in ["a", "A", "a ", "🍕"] {
        let taken = take(&*limits, &format!("{key}:{other}"), PERIOD, 1).await;
        assert_eq!(taken.wait, Duration::ZERO, "{other}");
    }
}

pub(super) async fn of_concurrent_takers_a_periods_worth_succeeds(engine: Arc<dyn CacheEngine>) {
    let Some(limits) = engine.limits() else { return };
    let key = fresh();
    let mut takers = JoinSet::new();
    for _ in 0..8 {
        let (limits, key) = (Arc::clone(&limits), key.clone());
        takers.spawn(async move {
            // Where all are in each other's way, whoever is not told has taken nothing.
            limits.take(&key, PERIOD, PERIOD / 2).await.is_ok_and(|taken| taken.wait.is_zero())
        });
    }
    let outcomes = takers.join_all().await;
    let succeeded = outcomes.iter().filter(|outcome| **outcome).count();
    assert!((1..=2).contains(&succeeded), "of 8 askers {succeeded} got one of 2 shares");
}
