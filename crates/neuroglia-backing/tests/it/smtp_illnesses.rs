//! The adapter of mail before a server that is ill: bounded answers, no mail lost, and recovery by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use neuroglia::error::ErrorKind;
use neuroglia::mail::MailServer;
use neuroglia_testing::services::{Misbehaviour, Smtp};
use neuroglia_testing::{Strait, Weather};
use tokio::time::timeout;

use crate::smtp::{adapter, message};

/// The most that one attempt may take: less than the job that makes it has.
const ATTEMPT_MAX: Duration = Duration::from_secs(55);

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Until the server is asked again after it was away.
async fn recovered(adapter: &Arc<dyn MailServer>, key: &str) -> Duration {
    let began = Instant::now();
    let mut pauses = tokio::time::interval(Duration::from_millis(50));
    while adapter.deliver(&message(key, "ada@example.com")).await.is_err() {
        assert!(began.elapsed() < PATIENCE, "it does not recover");
        pauses.tick().await;
    }
    began.elapsed()
}

#[tokio::test]
async fn whatever_ails_the_server_an_attempt_ends_and_the_next_one_arrives() {
    let weathers =
        [Weather::Closed, Weather::Silent, Weather::HalfOpen, Weather::Slow(Duration::from_millis(200))];
    let ailing = weathers.into_iter().enumerate().map(|(number, weather)| async move {
        let server = Smtp::start();
        let strait = Strait::to(server.port());
        let adapter = adapter(&format!("smtp://127.0.0.1:{}", strait.port())).await;
        // A connection is kept from before, and ails with the server.
        adapter.deliver(&message("before", "ada@example.com")).await.expect("it is taken");
        strait.turn(weather);
        let began = Instant::now();
        let ill = timeout(ATTEMPT_MAX, adapter.deliver(&message("ill", "ada@example.com"))).await;
        let ill = ill.expect("an attempt ends");
        let took = began.elapsed();
        match weather {
            Weather::Slow(_) => ill.expect("slow is not away"),
            _ => assert_eq!(ill.expect_err("it is away").kind(), ErrorKind::Unavailable, "{weather:?}"),
        }
        strait.turn(Weather::Fair);
        let recovery = recovered(&adapter, &format!("after-{number}")).await;
        println!("{weather:?}: an attempt took {took:.1?}, recovery {recovery:.1?}");
        let last = server.arrived().pop().expect("mail has arrived");
        assert_eq!(last.headers("Message-ID"), [format!("<after-{number}@pizza.example>")]);
    });
    futures_util::future::join_all(ailing).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_again_with_the_same_id() {
    let server = Smtp::start();
    let adapter = adapter(&server.url()).await;
    server.misbehave("ada@example.com", Misbehaviour::LeaveOnce);
    server.misbehave("bob@example.com", Misbehaviour::LoseAnswerOnce);
    for (name, expected) in [("ada", 1), ("bob", 2)] {
        let message = message(name, &format!("{name}@example.com"));
        let error = adapter.deliver(&message).await.expect_err("nothing was heard");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        adapter.deliver(&message).await.expect("it is taken");
        let id = [message.message_id.as_str()];
        let arrived = server.arrived().into_iter().filter(|one| one.headers("Message-ID") == id).count();
        assert_eq!(arrived, expected, "{name}");
    }
}

#[tokio::test]
async fn connections_are_few_and_used_again_and_a_restart_is_survived() {
    let mut server = Smtp::start();
    let strait = Strait::to(server.port());
    let adapter = adapter(&format!("smtp://127.0.0.1:{}", strait.port())).await;
    let crowd = (0..30).map(|number| {
        let adapter = Arc::clone(&adapter);
        async move { adapter.deliver(&message(&format!("crowd-{number}"), "ada@example.com")).await }
    });
    for sent in futures_util::future::join_all(crowd).await {
        sent.expect("it is taken");
    }
    server.crash();
    server.start_again();
    adapter.deliver(&message("restarted", "ada@example.com")).await.expect("a new connection is made");
    assert_eq!(server.arrived().len(), 31);
    // What was kept from before the restart is gone; both halves of each are counted.
    assert!(strait.cut() <= 2 * 5, "four connections at most, and the new one");
}

#[tokio::test]
async fn a_server_that_is_away_is_not_asked_by_everybody() {
    let server = Smtp::start();
    let strait = Strait::to(server.port());
    let adapter = adapter(&format!("smtp://127.0.0.1:{}", strait.port())).await;
    strait.turn(Weather::Closed);
    adapter.deliver(&message("first", "ada@example.com")).await.expect_err("it is away");
    strait.turn(Weather::Silent);
    let began = Instant::now();
    for number in 0..100 {
        let error = adapter.deliver(&message(&format!("more-{number}"), "ada@example.com")).await;
        assert_eq!(error.expect_err("it was away a moment ago").code(), "mail.unavailable");
    }
    assert!(began.elapsed() < Duration::from_secs(4), "nobody waits for it: {:?}", began.elapsed());
}
