//! Planned runs: each once, whoever plans it.

use std::sync::Arc;

use neuroglia::data::Store;
use tokio::task::JoinSet;

use super::at;
use super::workbench::{claim, claim_one, job, records};

async fn plan(store: &dyn Store, schedule: &str, run: i64) -> bool {
    store.plan(schedule, at(run), &job(schedule)).await.expect("a run is planned")
}

pub(super) async fn a_run_is_planned_once_with_its_work(store: Arc<dyn Store>) {
    let work = job("report");
    assert!(store.plan("report", at(1), &work).await.expect("a run is planned"));
    assert!(!plan(&*store, "report", 1).await, "it was planned already");
    assert_eq!(records(&*store).await.len(), 1, "and its work is there once");
    assert_eq!(claim_one(&*store, "report").await.ticket.id, work.id);
    assert!(!plan(&*store, "report", 1).await, "however far its work is");
    assert!(plan(&*store, "report", 2).await);
    assert!(plan(&*store, "cleaning", 1).await, "schedules do not touch each other");
    assert_eq!(claim(&*store, &["report", "cleaning"], 10).await.len(), 2);
}

pub(super) async fn of_concurrent_planners_one_plans(store: Arc<dyn Store>) {
    let mut planners = JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        planners.spawn(async move { plan(&*store, "report", 1).await });
    }
    let outcomes = planners.join_all().await;
    assert_eq!(outcomes.iter().filter(|planned| **planned).count(), 1, "{outcomes:?}");
    assert_eq!(records(&*store).await.len(), 1);
}

pub(super) async fn the_last_run_is_the_latest(store: Arc<dyn Store>) {
    let last = async |schedule| store.last_run(schedule).await.expect("the last run is looked up");
    assert_eq!(last("report").await, None);
    for run in [3, 9, 1] {
        assert!(plan(&*store, "report", run).await);
    }
    assert!(plan(&*store, "cleaning", 20).await);
    assert_eq!(last("report").await, Some(at(9)));
    assert_eq!(last("unknown").await, None);
}

pub(super) async fn old_runs_are_purged_but_the_last_of_each_schedule(store: Arc<dyn Store>) {
    for (schedule, run) in [("report", 1), ("report", 2), ("report", 5), ("cleaning", 2), ("cleaning", 1)] {
        assert!(plan(&*store, schedule, run).await);
    }
    let purge = async |run| store.purge_runs(at(run)).await.expect("runs are purged");
    assert_eq!(purge(2).await, 2, "those before, and not the moment itself");
    assert_eq!(purge(100).await, 1, "of each schedule the last is kept");
    assert_eq!(store.last_run("cleaning").await.expect("the last run is looked up"), Some(at(2)));
    assert!(!plan(&*store, "cleaning", 2).await, "the last is still known");
    assert!(!plan(&*store, "report", 5).await, "the last is still known");
}
