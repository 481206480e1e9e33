//! Customers who order all the time, and remember what was accepted.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::process::{Client, PATIENCE, guest_order};

/// How many order at the same time.
const COUNT: usize = 3;

/// How long each of them waits between two orders, at least.
const PAUSE: Duration = Duration::from_millis(80);

/// How long each of them waits, at most.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How many times as long as the last answer took. Behind an order come a dozen writes; customers who did not heed how
/// slow a disk is would pile up more than it can bear, and what is measured then is the pile.
const PACE: u32 = 15;

/// How often somebody asks again with the same key before giving up.
const TRIES_MAX: usize = 5;

/// Customers at the doors of a town.
pub(crate) struct Customers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    doors: Mutex<Vec<SocketAddr>>,
    /// The ids of the orders that were accepted.
    accepted: Mutex<Vec<String>>,
    refused: AtomicUsize,
    /// What was said to the one who was refused last.
    refusal: Mutex<String>,
    have_left: AtomicBool,
}

impl Customers {
    /// They begin to order at these doors.
    pub(crate) fn come(doors: &[SocketAddr]) -> Self {
        let shared = Arc::new(Shared { doors: Mutex::new(doors.to_vec()), ..Shared::default() });
        let threads = (0..COUNT)
            .map(|number| {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.order(number))
            })
            .collect();
        Self { shared, threads }
    }

    /// They go to other doors from now on.
    pub(crate) fn go_to(&self, doors: &[SocketAddr]) {
        *lock(&self.shared.doors) = doors.to_vec();
    }

    /// The ids of the orders that were accepted so far.
    pub(crate) fn accepted(&self) -> Vec<String> {
        lock(&self.shared.accepted).clone()
    }

    /// How often an order was not accepted.
    pub(crate) fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::Acquire)
    }

    /// Waits until so many more orders are accepted.
    pub(crate) fn wait_for_more(&self, count: usize) {
        let enough = lock(&self.shared.accepted).len() + count;
        // Where the store is slow, they take their time.
        let deadline = Instant::now() + PATIENCE + PAUSE_MAX * u32::try_from(count).unwrap_or(u32::MAX);
        while lock(&self.shared.accepted).len() < enough {
            assert!(
                Instant::now() < deadline,
                "in vain waited for {count} more orders: {} are accepted of {enough}, {} were refused, the last with: {}",
                lock(&self.shared.accepted).len(),
                self.refused(),
                lock(&self.shared.refusal),
            );
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// They go home; gives the ids of all orders that were accepted.
    pub(crate) fn leave(mut self) -> Vec<String> {
        self.shared.have_left.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            thread.join().expect("every answer was one of those that may come");
        }
        self.accepted()
    }
}

impl Drop for Customers {
    fn drop(&mut self) {
        self.shared.have_left.store(true, Ordering::Release);
    }
}

impl Shared {
    fn order(&self, customer: usize) {
        let mut connection: Option<(SocketAddr, Client)> = None;
        for number in 0_usize.. {
            let key = format!("{customer}-{number}");
            let order = guest_order(&format!("+1 555 {customer:03} {number:05}"), &key);
            let mut took = Duration::ZERO;
            for attempt in 0..TRIES_MAX {
                let asked = Instant::now();
                if self.have_left.load(Ordering::Acquire) {
                    return;
                }
                if let Some(id) = self.try_order(&mut connection, customer + attempt, &key, &order) {
                    lock(&self.accepted).push(id);
                    took = asked.elapsed();
                    break;
                }
                self.refused.fetch_add(1, Ordering::AcqRel);
                connection = None;
                std::thread::park_timeout(PAUSE * 2);
            }
            std::thread::park_timeout((took * PACE).clamp(PAUSE, PAUSE_MAX));
        }
    }

    /// The id of the order when it was accepted. No answer, and "later", are what a customer must live with.
    fn try_order(
        &self,
        connection: &mut Option<(SocketAddr, Client)>,
        turn: usize,
        key: &str,
        order: &serde_json::Value,
    ) -> Option<String> {
        let doors = lock(&self.doors).clone();
        let kept = connection.take().filter(|(door, _)| doors.contains(door));
        let (door, mut client) = match kept {
            Some(kept) => kept,
            None => {
                let door = doors.get(turn % doors.len().max(1)).copied();
                let door = self.heard(door.ok_or_else(|| io::Error::other("no door is open")))?;
                (door, self.heard(Client::connect(door))?)
            }
        };
        let answer = self.heard(client.post("/api/v1/orders", &[("idempotency-key", key)], order))?;
        match answer.status {
            201 => {
                if !answer.closes() {
                    *connection = Some((door, client));
                }
                Some(answer.json()["id"].as_str().expect("an id").to_owned())
            }
            409 | 502 | 503 | 504 => {
                *lock(&self.refusal) = format!("{}, {}", answer.status, answer.text());
                None
            }
            status => panic!("an order was answered with {status}: {}", answer.text()),
        }
    }

    fn heard<T>(&self, said: io::Result<T>) -> Option<T> {
        said.inspect_err(|error| *lock(&self.refusal) = error.to_string()).ok()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
