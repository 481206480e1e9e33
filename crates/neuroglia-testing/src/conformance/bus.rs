//! What every event bus must do, rule by rule: from a publisher's confirmation to deliveries in the store.
//!
//! A bus' tests give a [`Bench`], which attaches it as a process of an application does, and get one test for each rule:
//!
//! ```
//! mod local {
//!     use neuroglia_testing::conformance::bus::LocalBench;
//!
//!     async fn make() -> LocalBench {
//!         LocalBench::default()
//!     }
//!     neuroglia_testing::bus_conformance!(make);
//! }
//! ```
//!
//! Where a test for each rule is not wanted, [`run`] checks them all at once. The suite is itself tested: buses that are
//! wrong in one way each must fail it.

mod bench;
mod deliveries;
mod office;
mod outages;

pub use bench::{Attached, Bench, LocalBench};

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// What holds a bus to a rule.
type Check = fn(Arc<dyn Bench>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// One rule: a bus that breaks it makes it panic with the reason.
#[derive(Clone, Copy)]
pub struct Rule {
    /// What it is about.
    pub group: &'static str,
    /// What it says.
    pub name: &'static str,
    check: Check,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.group, self.name)
    }
}

macro_rules! rules {
    (($d:tt) $($group:ident { $($name:ident,)+ })+) => {
        /// Every rule, from the simple to the intricate.
        pub const RULES: &[Rule] = &[$($(
            Rule {
                group: stringify!($group),
                name: stringify!($name),
                check: |bench| Box::pin($group::$name(bench)),
            },
        )+)+];

        /// One `#[test]` for each rule of the [event bus](crate::conformance::bus).
        ///
        /// Its argument is a function, or a closure, whose future gives a new [`Bench`](crate::conformance::bus::Bench).
        #[macro_export]
        macro_rules! bus_conformance {
            ($d make:expr) => {
                $($(
                    #[test]
                    fn $name() {
                        $crate::conformance::bus::check(stringify!($name), $d make);
                    }
                )+)+
            };
        }
    };
}

rules! { ($)
    deliveries {
        an_event_reaches_each_consumer_that_wants_it_and_no_other,
        an_event_that_nobody_wants_arrives_nowhere_and_is_confirmed,
        an_event_that_is_sent_twice_is_delivered_once,
        events_of_a_subject_are_delivered_in_the_order_in_which_they_were_sent,
        what_nobody_takes_waits_for_who_comes_later,
        an_event_is_delivered_as_it_was_sent,
    }
    outages {
        what_is_not_understood_is_put_aside_and_holds_up_nobody,
        what_is_in_hand_when_its_taker_dies_comes_again_in_order,
        who_alone_has_lost_the_store_leaves_the_queue_to_others,
        while_the_store_is_away_no_more_is_taken_than_can_be_held,
        an_event_without_a_confirmation_is_sent_again_and_delivered_once,
        a_bus_that_was_away_goes_on_by_itself,
    }
}

impl Rule {
    /// Checks it.
    ///
    /// # Errors
    /// Why the bus breaks the rule.
    pub async fn check(self, bench: impl Bench) -> Result<(), String> {
        let checked = tokio::spawn((self.check)(Arc::new(bench))).await;
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

/// Checks every rule, each on a bench of its own.
///
/// # Panics
/// With every rule that the bus breaks, and how.
pub async fn run<B: Bench, F: Future<Output = B>>(make: impl Fn() -> F) {
    let mut broken = Vec::new();
    for rule in RULES {
        if let Err(why) = rule.check(make().await).await {
            broken.push(format!("{rule:?}: {why}"));
        }
    }
    assert!(broken.is_empty(), "the bus breaks {} rules:\n{}", broken.len(), broken.join("\n"));
}

#[doc(hidden)]
pub fn check<B: Bench, F: Future<Output = B>>(name: &str, make: impl Fn() -> F) {
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
