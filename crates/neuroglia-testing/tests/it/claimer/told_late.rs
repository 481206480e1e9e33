//! How an attempt ended, told to a store that did not hear it when it was so.

use super::*;

#[tokio::test(start_paused = true)]
async fn how_work_ended_is_told_also_when_the_store_was_away_for_long() {
    let app = App::start(Worker::new().job::<Burn>(), 1).await;
    app.whims.settles_nothing.store(true, Ordering::SeqCst);
    app.ask(&Burn {}).await;
    // Longer than whoever did it tries to tell.
    sleep(Duration::from_secs(60)).await;
    let running = app.work(WorkState::Running).await;
    assert_eq!(running.len(), 1, "nobody else may begin it");
    app.whims.settles_nothing.store(false, Ordering::SeqCst);
    app.until("its end", HEARTBEAT * 3, async |app| app.work(WorkState::Dead).await.len() == 1).await;
    let dead = app.work(WorkState::Dead).await.remove(0);
    assert_eq!(dead.attempt, 1);
    assert_eq!(app.bakery.begun(), ["burnt"], "it was done again");
    assert!(dead.failures[0].error.contains("it is black"), "{dead:?}");
}

#[tokio::test(start_paused = true)]
async fn how_work_ended_is_told_also_by_a_node_that_let_go_meanwhile() {
    let app = App::start(Worker::new().job::<Burn>(), 1).await;
    app.whims.settles_nothing.store(true, Ordering::SeqCst);
    app.ask(&Burn {}).await;
    app.until("it burns", SOON, async |app| app.bakery.begun().len() == 1).await;
    app.whims.is_deaf.store(true, Ordering::SeqCst);
    sleep(NODE_TTL * 3).await;
    app.whims.settles_nothing.store(false, Ordering::SeqCst);
    app.whims.is_deaf.store(false, Ordering::SeqCst);
    app.until("its end", NODE_TTL, async |app| app.work(WorkState::Dead).await.len() == 1).await;
    assert_eq!(app.bakery.begun(), ["burnt"], "it was done again");
}

#[tokio::test(start_paused = true)]
async fn how_work_ended_is_told_also_when_a_heartbeat_from_before_its_claim_is_answered_after_it() {
    let app = App::start(Worker::new().job::<Burn>(), 1).await;
    app.whims.delays_a_beat.store(true, Ordering::SeqCst);
    app.until("a late answer", HEARTBEAT * 2, async |app| !app.whims.delays_a_beat.load(Ordering::SeqCst))
        .await;
    app.whims.refuses_an_end.store(true, Ordering::SeqCst);
    app.ask(&Burn {}).await;
    app.until("an end that nobody hears of", SOON, async |app| {
        !app.whims.refuses_an_end.load(Ordering::SeqCst)
    })
    .await;
    app.whims.beat_arrives.notify_one();
    app.until("its end", HEARTBEAT * 3, async |app| app.work(WorkState::Dead).await.len() == 1).await;
    let dead = app.work(WorkState::Dead).await.remove(0);
    assert_eq!(app.bakery.begun(), ["burnt"], "it was done again");
    assert!(dead.failures[0].error.contains("it is black"), "{dead:?}");
}
