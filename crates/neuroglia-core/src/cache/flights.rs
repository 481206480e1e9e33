//! One computation for each key at a time, whoever asks.
//!
//! The first who asks computes; the others wait for the outcome and share it, also when it is an error: each of them
//! trying by itself would press a store that fails already. When whoever computes is cancelled, one of those who wait
//! takes over, so that nobody is cancelled with somebody else's request. Whoever comes after the end begins anew, and so
//! does whoever comes after the key's value was removed: what is computed by then may be of before.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::error::{Error, Result};

/// The computations under way, by key.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<Box<str>, Listed>>);

/// A flight, and how many are on it: counted under the lock of the list, so that the last to leave knows that it is.
#[derive(Default)]
struct Listed {
    flight: Arc<Flight>,
    passengers: usize,
}

#[derive(Default)]
struct Flight {
    /// Whoever has the turn computes.
    turn: tokio::sync::Mutex<()>,
    outcome: OnceLock<Result<Option<Bytes>>>,
    /// The key's value was removed since it began.
    is_overtaken: AtomicBool,
}

/// How a computation came to its end for one of those who asked.
pub(super) enum Landed<T> {
    /// It was the own one.
    Own(T),
    /// It was somebody else's, whose value was this; none when it could not be written down.
    Shared(Option<Bytes>),
}

/// One who asks; the last to leave takes the flight off the list.
pub(super) struct Passenger<'a> {
    flights: &'a Flights,
    key: &'a str,
    flight: Arc<Flight>,
}

impl Flights {
    /// Has somebody take part in the computation that is under way, or in a new one.
    pub(super) fn board<'a>(&'a self, key: &'a str) -> Passenger<'a> {
        let mut flights = self.0.lock();
        let listed = match flights.get_mut(key) {
            Some(listed) => listed,
            None => flights.entry(key.into()).or_default(),
        };
        listed.passengers += 1;
        Passenger { flights: self, key, flight: Arc::clone(&listed.flight) }
    }

    /// The key's value is removed: whoever comes from now on begins anew, and what is being computed is not kept.
    pub(super) fn overtake(&self, key: &str) {
        if let Some(listed) = self.0.lock().remove(key) {
            listed.flight.is_overtaken.store(true, Ordering::SeqCst);
        }
    }

    /// Lets whoever comes from now on begin anew.
    fn land(&self, key: &str, flight: &Arc<Flight>) {
        let mut flights = self.0.lock();
        if flights.get(key).is_some_and(|listed| Arc::ptr_eq(&listed.flight, flight)) {
            flights.remove(key);
        }
    }

    #[cfg(test)]
    fn under_way(&self) -> usize {
        self.0.lock().len()
    }
}

impl Passenger<'_> {
    /// Computes, unless somebody does already; then gives what they got. `written` is what others get of a value.
    ///
    /// # Errors
    /// That of the computation, or its [echo](Error::echo) for those who waited.
    pub(super) async fn join<T>(
        &self,
        compute: impl Future<Output = Result<T>>,
        written: impl FnOnce(&T) -> Option<Bytes>,
    ) -> Result<Landed<T>> {
        let flight = &self.flight;
        let _turn = flight.turn.lock().await;
        if let Some(outcome) = flight.outcome.get() {
            return outcome.as_ref().map(|value| Landed::Shared(value.clone())).map_err(Error::echo);
        }
        let outcome = compute.await;
        let shared = outcome.as_ref().map(written).map_err(Error::echo);
        // Nobody else has the turn.
        let _ = flight.outcome.set(shared);
        self.flights.land(self.key, flight);
        outcome.map(Landed::Own)
    }

    /// Whether the key's value was removed meanwhile, so that what was computed must not be kept.
    pub(super) fn is_overtaken(&self) -> bool {
        self.flight.is_overtaken.load(Ordering::SeqCst)
    }
}

impl Drop for Passenger<'_> {
    fn drop(&mut self) {
        let mut flights = self.flights.0.lock();
        // One that has landed is not listed any more, and another may be under its key.
        if let Some(listed) = flights.get_mut(self.key)
            && Arc::ptr_eq(&listed.flight, &self.flight)
        {
            listed.passengers -= 1;
            if listed.passengers == 0 {
                flights.remove(self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;
    use tokio::task::JoinSet;

    use super::*;

    fn text(value: &u32) -> Option<Bytes> {
        Some(Bytes::from(value.to_string()))
    }

    async fn number(landed: Result<Landed<u32>>) -> Result<u32, String> {
        match landed {
            Ok(Landed::Own(value)) => Ok(value),
            Ok(Landed::Shared(Some(bytes))) => {
                Ok(String::from_utf8_lossy(&bytes).parse().expect("it was a number"))
            }
            Ok(Landed::Shared(None)) => Err("nothing was written".to_owned()),
            Err(error) => Err(error.code().to_owned()),
        }
    }

    #[tokio::test]
    async fn of_many_who_ask_one_computes() {
        let (flights, computed) = (Arc::new(Flights::default()), Arc::new(AtomicUsize::new(0)));
        let mut askers = JoinSet::new();
        for _ in 0..50 {
            let (flights, computed) = (Arc::clone(&flights), Arc::clone(&computed));
            askers.spawn(async move {
                let compute = async {
                    computed.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    Ok(7)
                };
                number(flights.board("menu").join(compute, text).await).await
            });
        }
        assert!(askers.join_all().await.into_iter().all(|outcome| outcome == Ok(7)));
        assert_eq!(computed.load(Ordering::SeqCst), 1);
        assert_eq!(flights.under_way(), 0);
    }

    #[tokio::test]
    async fn an_error_is_shared_by_those_who_wait_and_forgotten_then() {
        let flights = Arc::new(Flights::default());
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let first = tokio::spawn({
            let (flights, begun, go_on) = (Arc::clone(&flights), Arc::clone(&begun), Arc::clone(&go_on));
            async move {
                let compute = async {
                    begun.notify_one();
                    go_on.notified().await;
                    Err(Error::unavailable("the store is away"))
                };
                number(flights.board("menu").join(compute, text).await).await
            }
        });
        begun.notified().await;
        let second = async {
            number(flights.board("menu").join(async { unreachable!("somebody computes") }, text).await).await
        };
        let (second, ()) = tokio::join!(second, async { go_on.notify_one() });
        assert_eq!(second, Err("service.unavailable".to_owned()));
        assert_eq!(first.await.expect("no panic"), second);
        assert_eq!(number(flights.board("menu").join(async { Ok(8) }, text).await).await, Ok(8));
        assert_eq!(flights.under_way(), 0);
    }

    #[tokio::test]
    async fn when_who_computes_is_cancelled_another_takes_over() {
        let flights = Arc::new(Flights::default());
        let begun = Arc::new(Notify::new());
        let first = tokio::spawn({
            let (flights, begun) = (Arc::clone(&flights), Arc::clone(&begun));
            async move {
                let compute = async {
                    begun.notify_one();
                    std::future::pending::<Result<u32>>().await
                };
                flights.board("menu").join(compute, text).await.map(|_| ())
            }
        });
        begun.notified().await;
        let second = async { number(flights.board("menu").join(async { Ok(9) }, text).await).await };
        let (second, ()) = tokio::join!(second, async { first.abort() });
        assert_eq!(second, Ok(9));
        assert_eq!(flights.under_way(), 0);
    }

    #[tokio::test]
    async fn who_comes_after_a_removal_begins_anew() {
        let flights = Flights::default();
        let before = flights.board("menu");
        flights.overtake("menu");
        let after = flights.board("menu");
        assert!(before.is_overtaken() && !after.is_overtaken());
        // The one leaves the other's place on the list alone.
        assert_eq!(number(before.join(async { Ok(1) }, text).await).await, Ok(1));
        drop(before);
        assert_eq!(flights.under_way(), 1);
        assert_eq!(number(after.join(async { Ok(2) }, text).await).await, Ok(2));
        assert_eq!(flights.under_way(), 0);
        flights.overtake("menu");
    }

    #[tokio::test]
    async fn the_last_of_several_who_are_cancelled_at_once_takes_the_flight_off_the_list() {
        let flights = Flights::default();
        let (first, second) = (flights.board("menu"), flights.board("menu"));
        // Another thread that has left and has not let go yet.
        let slow = Arc::clone(&first.flight);
        drop(first);
        assert_eq!(flights.under_way(), 1);
        drop(second);
        assert_eq!(flights.under_way(), 0);
        drop(slow);
    }
}
