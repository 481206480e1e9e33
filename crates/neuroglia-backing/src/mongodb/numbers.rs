//! Numbers in the order of commits, from one counter of the database, and the server's clock with them.
//!
//! They are taken before the transaction begins and after what it expects was committed: so the messages of one subject
//! are in the order of its versions, and transactions do not collide over a counter. Numbers that no commit uses are
//! lost.
//!
//! Whoever needs some while others take theirs waits for the next round trip, which takes for all who came meanwhile:
//! under load it is one for many commits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mongodb::bson::doc;
use mongodb::options::ReturnDocument;
use neuroglia::clock::Timestamp;
use neuroglia::error::{Error, Result};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::connection::Connection;
use super::fields::{Fields, now};
use super::schema::COUNTERS;

/// How long somebody waits for others, whose way to the server may be a dead one, before he goes himself.
const TOGETHER_MAX: Duration = Duration::from_secs(1);

/// Numbers for what is stored, in the order in which they are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    next: i64,
    pub(super) now: Timestamp,
}

impl Numbers {
    /// Takes so many that follow each other.
    pub(super) async fn take(connection: &Arc<Connection>, count: usize) -> Result<Self> {
        let count = i64::try_from(count).map_err(Error::internal)?;
        let counted = {
            let connection = Arc::clone(connection);
            move |count| Self::take_of(Arc::clone(&connection), count)
        };
        match timeout(TOGETHER_MAX, Takers::join(&connection.takers, count, counted)).await {
            Ok(Some(given)) => given,
            Ok(None) | Err(_) => Self::take_now(connection, count).await,
        }
    }

    async fn take_of(connection: Arc<Connection>, count: i64) -> Result<Self> {
        Self::take_now(&connection, count).await
    }

    async fn take_now(connection: &Connection, count: i64) -> Result<Self> {
        let add = doc! { "last": { "$add": ["$last", count] }, "at": now() };
        let counters = connection.collection(COUNTERS);
        let taken = counters.find_one_and_update(doc! { "_id": "seq" }, vec![doc! { "$set": add }]);
        let taken = connection.run(taken.return_document(ReturnDocument::After).into_future()).await?;
        let taken = taken.ok_or_else(|| Error::internal("there is no counter; a migration makes it"))?;
        Ok(Self { next: taken.whole("last")? - count + 1, now: taken.moment("at")? })
    }

    pub(super) fn next(&mut self) -> i64 {
        self.next += 1;
        self.next - 1
    }
}

/// Those of this process who need numbers.
#[derive(Default)]
pub(super) struct Takers(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: Vec<Taker>,
    /// A task takes for all who wait, until nobody does.
    is_taking: bool,
}

struct Taker {
    count: i64,
    give: oneshot::Sender<Result<Numbers>>,
}

impl Takers {
    /// Waits for the round trip that takes for this one, too; none when it was given up.
    ///
    /// What was asked for when `take` begins is in what it takes, so that numbers are never older than who asks for
    /// them. They are taken by a task of their own: nobody's waiting depends on how another one who waits fares.
    async fn join<F>(
        takers: &Arc<Self>,
        count: i64,
        mut take: impl FnMut(i64) -> F + Send + 'static,
    ) -> Option<Result<Numbers>>
    where
        F: Future<Output = Result<Numbers>> + Send,
    {
        let (give, given) = oneshot::channel();
        let is_first = {
            let mut state = takers.state();
            state.waiting.push(Taker { count, give });
            !std::mem::replace(&mut state.is_taking, true)
        };
        if is_first {
            let takers = Arc::clone(takers);
            tokio::spawn(async move {
                while let Some(group) = takers.group() {
                    let all = group.iter().map(|taker| taker.count).sum();
                    give_out(group, take(all).await);
                }
            });
        }
        given.await.ok()
    }

    /// Those who wait; none when nobody does, and then the next who comes begins anew.
    fn group(&self) -> Option<Vec<Taker>> {
        let mut state = self.state();
        let group = std::mem::take(&mut state.waiting);
        state.is_taking = !group.is_empty();
        state.is_taking.then_some(group)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives each his share, or word of what was in the way.
fn give_out(group: Vec<Taker>, taken: Result<Numbers>) {
    let mut next = taken.as_ref().map_or(0, |taken| taken.next);
    for taker in group {
        let share = taken.as_ref().map(|taken| Numbers { next, ..*taken }).map_err(Error::echo);
        next += taker.count;
        // Whoever has gone has no use for it.
        let _ = taker.give.send(share);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

    use tokio::sync::Notify;
    use tokio::task::JoinSet;

    use super::*;

    /// A counter, and how often it was asked.
    #[derive(Default)]
    struct Counter {
        last: AtomicI64,
        asked: AtomicUsize,
    }

    impl Counter {
        async fn take(self: Arc<Self>, count: i64) -> Result<Numbers> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let next = self.last.fetch_add(count, Ordering::SeqCst) + 1;
            tokio::task::yield_now().await;
            Ok(Numbers { next, now: Timestamp::UNIX_EPOCH })
        }
    }

    #[tokio::test]
    async fn who_comes_while_others_take_shares_the_next_round_trip() {
        let (takers, counter) = (Arc::new(Takers::default()), Arc::new(Counter::default()));
        let mut asked = JoinSet::new();
        for place in 0..50 {
            let (takers, counter) = (Arc::clone(&takers), Arc::clone(&counter));
            asked.spawn(async move {
                let count = place % 3 + 1;
                let take = move |all| Arc::clone(&counter).take(all);
                let mut numbers = Takers::join(&takers, count, take).await.expect("a task").expect("numbers");
                (0..count).map(|_| numbers.next()).collect::<Vec<_>>()
            });
        }
        let given = asked.join_all().await.concat();
        let total = (0..50).map(|place| place % 3 + 1).sum::<i64>();
        assert_eq!(given.iter().copied().collect::<HashSet<_>>(), (1..=total).collect());
        assert_eq!(i64::try_from(given.len()), Ok(total), "each once");
        assert!(counter.asked.load(Ordering::SeqCst) <= 2, "{:?}", counter.asked);
        assert!(!takers.state().is_taking, "the next begins anew");
    }

    #[tokio::test]
    async fn an_error_is_for_those_who_waited_and_for_nobody_else() {
        let (takers, begun, go_on) =
            (Arc::new(Takers::default()), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let refuse = {
            let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
            move |_| {
                let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
                async move {
                    begun.notify_one();
                    go_on.notified().await;
                    Err(Error::unavailable("it is away"))
                }
            }
        };
        let never = |_| async { unreachable!("somebody takes") };
        let first = tokio::spawn({
            let takers = Arc::clone(&takers);
            async move { Takers::join(&takers, 1, refuse).await }
        });
        begun.notified().await;
        let others = async { tokio::join!(Takers::join(&takers, 1, never), Takers::join(&takers, 2, never)) };
        let ((second, third), ()) = tokio::join!(others, async {
            go_on.notify_one();
            begun.notified().await;
            go_on.notify_one();
        });
        for refused in [first.await.expect("no panic"), second, third] {
            assert_eq!(refused.expect("a task").expect_err("away").code(), "service.unavailable");
        }
        let counter = Arc::new(Counter::default());
        let later = Takers::join(&takers, 1, move |all| Arc::clone(&counter).take(all)).await;
        assert_eq!(later.expect("a task").expect("it is back").next, 1);
    }

    #[tokio::test]
    async fn who_goes_away_leaves_the_others_what_is_theirs() {
        let (takers, counter) = (Arc::new(Takers::default()), Arc::new(Counter::default()));
        let take = || {
            let counter = Arc::clone(&counter);
            move |all| Arc::clone(&counter).take(all)
        };
        let first = tokio::spawn({
            let (takers, take) = (Arc::clone(&takers), take());
            async move { Takers::join(&takers, 1, take).await.map(drop) }
        });
        while counter.asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        first.abort();
        let second = Takers::join(&takers, 2, take()).await;
        assert_eq!(second.expect("a task").expect("its own").next, 2);
    }
}
