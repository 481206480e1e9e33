//! The suite of the event bus is worth something only if it finds what is wrong: brokers with one defect each.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::error::{Error, Result};
use neuroglia::id::Ids;
use neuroglia::messaging::{
    Arrival, CloudEvent, EventBus, EventQueue, EventSource, Inbox, Origin, Outcome, Subscriptions,
};
use neuroglia_testing::Weather;
use neuroglia_testing::conformance::bus::{Attached, Bench, RULES};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// What is wrong with the broker, and which rule is about it.
const DEFECTS: &[(Defect, &str)] = &[
    (Defect::KnowsOneConsumer, "an_event_reaches_each_consumer_that_wants_it_and_no_other"),
    (Defect::RefusesTheUnwanted, "an_event_that_nobody_wants_arrives_nowhere_and_is_confirmed"),
    (Defect::RenamesEvents, "an_event_that_is_sent_twice_is_delivered_once"),
    (Defect::GivesTheNewestFirst, "events_of_a_subject_are_delivered_in_the_order_in_which_they_were_sent"),
    (Defect::ForgetsWhatNobodyTakes, "what_nobody_takes_waits_for_who_comes_later"),
    (Defect::ChangesEvents, "an_event_is_delivered_as_it_was_sent"),
    (Defect::DropsPoison, "what_is_not_understood_is_put_aside_and_holds_up_nobody"),
    (Defect::IgnoresStrangers, "what_is_not_understood_is_put_aside_and_holds_up_nobody"),
    (Defect::SettlesByItself, "what_is_in_hand_when_its_taker_dies_comes_again_in_order"),
    (Defect::ReturnsToTheEnd, "what_is_in_hand_when_its_taker_dies_comes_again_in_order"),
    (Defect::KeepsTheTurn, "who_alone_has_lost_the_store_leaves_the_queue_to_others"),
    (Defect::GivesEverything, "while_the_store_is_away_no_more_is_taken_than_can_be_held"),
    (Defect::ConfirmsBlindly, "an_event_without_a_confirmation_is_sent_again_and_delivered_once"),
    (Defect::IgnoresWeather, "an_event_without_a_confirmation_is_sent_again_and_delivered_once"),
    (Defect::IgnoresWeather, "a_bus_that_was_away_goes_on_by_itself"),
    (Defect::StaysAway, "a_bus_that_was_away_goes_on_by_itself"),
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Defect {
    None,
    KnowsOneConsumer,
    RefusesTheUnwanted,
    RenamesEvents,
    GivesTheNewestFirst,
    ForgetsWhatNobodyTakes,
    ChangesEvents,
    DropsPoison,
    SettlesByItself,
    ReturnsToTheEnd,
    GivesEverything,
    ConfirmsBlindly,
    StaysAway,
    /// Who gives up its queue keeps its turn.
    KeepsTheTurn,
    /// The bench says that strangers can send, and they cannot.
    IgnoresStrangers,
    /// The bench says that the bus can be made ill, and it cannot.
    IgnoresWeather,
}

/// A broker in memory: one queue for each consumer, one taker at a time.
#[derive(Clone)]
struct Broker(Arc<Inner>);

struct Inner {
    defect: Defect,
    application: String,
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Default)]
struct State {
    weather: Weather,
    was_away: bool,
    /// The pattern of a type, and who wants it.
    bindings: Vec<(String, String)>,
    queues: HashMap<String, Queue>,
    dead: HashMap<String, Vec<Vec<u8>>>,
}

struct Queue {
    waiting: VecDeque<Vec<u8>>,
    turn: Arc<Semaphore>,
    is_taken: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), turn: Arc::new(Semaphore::new(1)), is_taken: false }
    }
}

impl Broker {
    fn new(defect: Defect) -> Self {
        let application = format!("shop-{}", Ids::random().next_uuid().simple());
        Self(Arc::new(Inner { defect, application, state: Mutex::default(), arrived: Notify::new() }))
    }

    fn is(&self, defect: Defect) -> bool {
        self.0.defect == defect
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn route(&self, event_type: &str, body: &[u8]) -> usize {
        let mut state = self.state();
        let wanting: Vec<_> = state
            .bindings
            .iter()
            .filter(|(prefix, _)| {
                event_type.strip_prefix(prefix.as_str()).is_some_and(|rest| !rest.contains('.'))
            })
            .map(|(_, consumer)| consumer.clone())
            .collect();
        let count = if self.is(Defect::KnowsOneConsumer) { wanting.len().min(1) } else { wanting.len() };
        for consumer in wanting.into_iter().take(count) {
            let queue = state.queues.entry(consumer).or_default();
            if !self.is(Defect::ForgetsWhatNobodyTakes) || queue.is_taken {
                queue.waiting.push_back(body.to_vec());
            }
        }
        self.0.arrived.notify_waiters();
        count
    }
}

#[async_trait]
impl EventBus for Broker {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn publish(&self, events: &[CloudEvent]) -> Vec<Result<()>> {
        let weather = self.state().weather;
        let publish = |event: &CloudEvent| {
            if matches!(weather, Weather::Closed | Weather::Silent) {
                return Err(Error::unavailable("the broker is away"));
            }
            if weather == Weather::HalfOpen && self.is(Defect::ConfirmsBlindly) {
                return Ok(());
            }
            let mut event = event.clone();
            if self.is(Defect::RenamesEvents) {
                event.id = Ids::random().next_uuid().to_string();
            }
            if self.is(Defect::ChangesEvents) {
                event.correlationid = None;
            }
            let body = serde_json::to_vec(&event).expect("an event is JSON");
            let routed = self.route(&event.event_type, &body);
            match weather {
                Weather::HalfOpen => Err(Error::unavailable("nobody has confirmed")),
                _ if routed == 0 && self.is(Defect::RefusesTheUnwanted) => Err(Error::internal("no route")),
                _ => Ok(()),
            }
        };
        events.iter().map(publish).collect()
    }
}

#[async_trait]
impl EventSource for Broker {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn keeps_turns(&self) -> bool {
        true
    }

    async fn open(&self, consumer: &str) -> Result<Box<dyn EventQueue>> {
        let turn = Arc::clone(&self.state().queues.entry(consumer.to_owned()).or_default().turn);
        let turn = turn.acquire_owned().await.map_err(Error::unavailable)?;
        if let Some(queue) = self.state().queues.get_mut(consumer) {
            queue.is_taken = true;
        }
        let consumer = consumer.to_owned();
        Ok(Box::new(Taking {
            broker: self.clone(),
            consumer,
            in_hand: Vec::new(),
            is_finishing: false,
            turn: Some(turn),
        }))
    }
}

struct Taking {
    broker: Broker,
    consumer: String,
    in_hand: Vec<Vec<u8>>,
    is_finishing: bool,
    turn: Option<OwnedSemaphorePermit>,
}

#[async_trait]
impl EventQueue for Taking {
    async fn take(&mut self, most: usize) -> Result<Vec<Arrival>> {
        loop {
            let broker = self.broker.clone();
            let arrived = broker.0.arrived.notified();
            {
                let mut state = broker.state();
                let queue = state.queues.entry(self.consumer.clone()).or_default();
                let most = if broker.is(Defect::GivesEverything) { usize::MAX } else { most };
                while self.in_hand.len() < most {
                    let newest = broker.is(Defect::GivesTheNewestFirst);
                    let next = if newest { queue.waiting.pop_back() } else { queue.waiting.pop_front() };
                    let Some(next) = next else { break };
                    self.in_hand.push(next);
                }
            }
            if !self.in_hand.is_empty() || self.is_finishing {
                return Ok(self.in_hand.iter().map(|body| Arrival { body: body.clone() }).collect());
            }
            arrived.await;
        }
    }

    async fn hold(&mut self) -> Result<()> {
        Ok(())
    }

    async fn settle(&mut self, outcomes: &[Outcome]) -> Result<()> {
        let dead = self.in_hand.drain(..).zip(outcomes).filter(|(_, outcome)| **outcome != Outcome::Stored);
        let dead: Vec<_> = dead.map(|(body, _)| body).collect();
        if !self.broker.is(Defect::DropsPoison) {
            self.broker.state().dead.entry(self.consumer.clone()).or_default().extend(dead);
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<()> {
        self.is_finishing = true;
        Ok(())
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        if self.broker.is(Defect::KeepsTheTurn)
            && let Some(turn) = self.turn.take()
        {
            turn.forget();
        }
        if self.broker.is(Defect::SettlesByItself) {
            return;
        }
        let to_the_end = self.broker.is(Defect::ReturnsToTheEnd);
        let mut state = self.broker.state();
        let queue = state.queues.entry(self.consumer.clone()).or_default();
        queue.is_taken = false;
        for body in self.in_hand.drain(..).rev() {
            if to_the_end { queue.waiting.push_back(body) } else { queue.waiting.push_front(body) }
        }
    }
}

#[async_trait]
impl Bench for Broker {
    fn application(&self) -> &str {
        &self.0.application
    }

    async fn attach(&self, _: Inbox, origin: Arc<Origin>, subscriptions: Arc<Subscriptions>) -> Attached {
        for wanted in &subscriptions.0 {
            let pattern = format!("{}.{}.", origin.prefix, wanted.event);
            self.state().bindings.push((pattern, wanted.consumer.clone()));
        }
        Attached { bus: Arc::new(self.clone()), source: Some(Arc::new(self.clone())) }
    }

    fn lets_strangers_send(&self) -> bool {
        true
    }

    fn has_weather(&self) -> bool {
        true
    }

    async fn inject(&self, event_type: &str, body: &[u8]) -> bool {
        !self.is(Defect::IgnoresStrangers) && self.route(event_type, body) > 0
    }

    async fn dead_letters(&self, consumer: &str) -> Vec<Vec<u8>> {
        self.state().dead.get(consumer).cloned().unwrap_or_default()
    }

    async fn waiting(&self, consumer: &str) -> Option<usize> {
        Some(self.state().queues.get(consumer).map_or(0, |queue| queue.waiting.len()))
    }

    fn turn(&self, weather: Weather) -> bool {
        if self.is(Defect::IgnoresWeather) {
            return false;
        }
        let mut state = self.state();
        state.was_away |= weather == Weather::Closed;
        let stays = state.was_away && self.is(Defect::StaysAway);
        state.weather = if stays { Weather::Closed } else { weather };
        true
    }

    fn patience(&self) -> Duration {
        if self.is(Defect::None) { Duration::from_secs(40) } else { Duration::from_secs(3) }
    }
}

mod sound {
    use super::{Broker, Defect};

    async fn make() -> Broker {
        Broker::new(Defect::None)
    }

    neuroglia_testing::bus_conformance!(make);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_defect_breaks_the_rule_that_is_about_it() {
    for (defect, name) in DEFECTS {
        let rule = RULES.iter().find(|rule| rule.name == *name).expect("the rule is there");
        rule.check(Broker::new(*defect)).await.expect_err(&format!("{defect:?} breaks {name}"));
    }
}

#[test]
fn each_rule_is_broken_by_a_defect() {
    for rule in RULES {
        assert!(DEFECTS.iter().any(|(_, name)| *name == rule.name), "nothing breaks {rule:?}");
    }
}
