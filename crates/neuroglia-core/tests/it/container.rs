//! What the container gives to whom, and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use neuroglia::di::{Inject, Lifetime, ScopeFactory, Service, ServiceCollection, Services};
use neuroglia::error::{Error, ErrorKind, Result};
use tokio::sync::Barrier;

async fn started(register: impl FnOnce(&mut ServiceCollection)) -> Services {
    let mut services = ServiceCollection::new();
    register(&mut services);
    services.build().expect("the graph holds").start().await.expect("every factory succeeds")
}

fn cause(error: &Error) -> String {
    std::error::Error::source(error).expect("it has a cause").to_string()
}

/// Which of all instances of the test this is.
struct Serial(usize);

#[derive(Default)]
struct Press(AtomicUsize);

impl Press {
    fn next(&self) -> Serial {
        Serial(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

#[derive(Inject)]
struct Clerk {
    press: Arc<Press>,
}

trait Topping: Send + Sync {
    fn name(&self) -> &'static str;
}

#[derive(Inject)]
#[provides(dyn Topping)]
struct Cheese {}

impl Topping for Cheese {
    fn name(&self) -> &'static str {
        "cheese"
    }
}

#[derive(Inject)]
#[provides(dyn Topping)]
struct Olives {}

impl Topping for Olives {
    fn name(&self) -> &'static str {
        "olives"
    }
}

fn names(toppings: &[Arc<dyn Topping>]) -> Vec<&'static str> {
    toppings.iter().map(|topping| topping.name()).collect()
}

#[tokio::test]
async fn a_singleton_is_the_same_for_the_root_and_every_scope() {
    let services = started(|services| {
        services.add_singleton::<Cheese, Cheese>();
    })
    .await;
    let from_root = services.get::<Cheese>().expect("a singleton");
    let from_scope = services.scope().get::<Cheese>().expect("a singleton");
    assert!(Arc::ptr_eq(&from_root, &from_scope));
}

#[tokio::test]
async fn a_transient_is_a_new_one_for_each_consumer() {
    let services = started(|services| {
        services.add_transient::<Cheese, Cheese>();
    })
    .await;
    let scope = services.scope();
    let (one, other) = (scope.get::<Cheese>().expect("one"), scope.get::<Cheese>().expect("another"));
    assert!(!Arc::ptr_eq(&one, &other));
}

#[tokio::test]
async fn a_scoped_service_is_the_same_within_its_scope_only() {
    let services = started(|services| {
        services.add_scoped::<Cheese, Cheese>();
    })
    .await;
    let (scope, other) = (services.scope(), services.scope());
    let first = scope.get::<Cheese>().expect("scoped");
    assert!(Arc::ptr_eq(&first, &scope.clone().get().expect("a clone is the same scope")));
    assert!(!Arc::ptr_eq(&first, &other.get().expect("scoped")));
}

#[tokio::test]
async fn a_nested_scope_has_scoped_instances_of_its_own_and_shares_singletons() {
    let services = started(|services| {
        services.add_instance(Press::default()).add_scoped::<Clerk, Clerk>();
    })
    .await;
    let outer = services.scope();
    let inner = outer.sibling();
    let (outer, inner) = (outer.get::<Clerk>().expect("scoped"), inner.get::<Clerk>().expect("scoped"));
    assert!(!Arc::ptr_eq(&outer, &inner));
    assert!(Arc::ptr_eq(&outer.press, &inner.press));
}

#[tokio::test]
async fn what_needs_a_scope_is_not_given_from_the_root() {
    #[derive(Inject)]
    struct Order {
        _clerk: Arc<Clerk>,
    }
    let services = started(|services| {
        services.add_instance(Press::default()).add_scoped::<Clerk, Clerk>().add_transient::<Order, Order>();
    })
    .await;
    let error = services.get::<Clerk>().err().expect("it is scoped");
    assert_eq!(cause(&error), "`Clerk` lives for one scope and cannot be taken from the root; open a scope");
    let error = services.get::<Order>().err().expect("it is made of something scoped");
    assert_eq!(cause(&error), "`Order` lives for one scope and cannot be taken from the root; open a scope");
    assert!(services.scope().get::<Order>().is_ok());
}

#[tokio::test]
async fn an_unregistered_type_is_none_when_optional_and_an_error_when_required() {
    #[derive(Inject)]
    struct Pizza {
        topping: Option<Arc<dyn Topping>>,
        more: Vec<Arc<dyn Topping>>,
    }
    let services = started(|services| {
        services.enter::<Pizza>();
    })
    .await;
    let scope = services.scope();
    assert!(scope.find::<dyn Topping>().expect("nothing fails").is_none());
    let error = scope.get::<dyn Topping>().err().expect("it is not registered");
    assert_eq!(cause(&error), "`dyn Topping` is not registered");
    let error = services.get::<dyn Topping>().err().expect("it is not registered");
    assert_eq!(cause(&error), "`dyn Topping` is not registered");

    let pizza: Pizza = scope.inject().expect("nothing is required");
    assert!(pizza.topping.is_none() && pizza.more.is_empty());
}

#[tokio::test]
async fn a_chain_of_needs_is_built_to_its_end() {
    #[derive(Inject)]
    struct Oven {
        press: Arc<Press>,
    }
    #[derive(Inject)]
    struct Kitchen {
        oven: Arc<Oven>,
    }
    #[derive(Inject)]
    struct Restaurant {
        kitchen: Arc<Kitchen>,
        #[inject(default)]
        guests: usize,
    }
    let services = started(|services| {
        services.add_scoped::<Restaurant, Restaurant>();
        services.add_transient::<Kitchen, Kitchen>();
        services.add_singleton::<Oven, Oven>();
        services.add_instance(Press::default());
    })
    .await;
    let restaurant = services.scope().get::<Restaurant>().expect("the chain holds");
    assert_eq!(restaurant.kitchen.oven.press.next().0 + restaurant.guests, 0);
}

#[tokio::test]
async fn a_factory_is_called_with_what_it_asks_for() {
    let services = started(|services| {
        services.add_instance(Press::default());
        services.add(Service::factory::<Serial, (Arc<Press>,), _>(Lifetime::Scoped, |(press,)| {
            Ok(Arc::new(press.next()))
        }));
    })
    .await;
    assert_eq!(services.scope().get::<Serial>().expect("made").0, 0);
    let scope = services.scope();
    assert_eq!(scope.get::<Serial>().expect("made").0, 1);
    assert_eq!(scope.get::<Serial>().expect("made once").0, 1);
}

#[tokio::test]
async fn a_given_instance_is_that_very_one() {
    let cheese: Arc<dyn Topping> = Arc::new(Cheese {});
    let given = Arc::clone(&cheese);
    let services = started(|services| {
        services.add_instance(Serial(7)).add(Service::shared::<dyn Topping>(given));
    })
    .await;
    assert_eq!(services.get::<Serial>().expect("given").0, 7);
    assert!(Arc::ptr_eq(&cheese, &services.get().expect("given")));
}

#[tokio::test]
async fn try_add_leaves_what_is_there_and_replace_does_not() {
    let services = started(|services| {
        services.add_singleton::<dyn Topping, Cheese>();
        services.try_add(Service::singleton::<dyn Topping, Olives>());
    })
    .await;
    assert_eq!(names(&services.scope().all().expect("one")), ["cheese"]);

    let services = started(|services| {
        services.add_singleton::<dyn Topping, Cheese>();
        services.replace(Service::singleton::<dyn Topping, Olives>());
    })
    .await;
    assert_eq!(names(&services.scope().all().expect("one")), ["olives"]);
}

#[tokio::test]
async fn all_implementations_come_once_each_in_the_order_of_registration() {
    let services = started(|services| {
        services.add_scoped::<dyn Topping, Olives>();
        services.add_singleton::<dyn Topping, Cheese>();
    })
    .await;
    let scope = services.scope();
    assert_eq!(names(&scope.all().expect("two")), ["olives", "cheese"]);
    // A single look-up before changes nothing.
    assert_eq!(scope.get::<dyn Topping>().expect("the last").name(), "cheese");
    let (once, again) = (scope.all::<dyn Topping>().expect("two"), scope.all::<dyn Topping>().expect("two"));
    assert_eq!(names(&again), ["olives", "cheese"]);
    assert!(once.iter().zip(&again).all(|(one, other)| Arc::ptr_eq(one, other)));
}

#[tokio::test]
async fn an_alias_gives_the_same_object_under_another_type() {
    let services = started(|services| {
        services.add_scoped::<Cheese, Cheese>();
        services.add(Service::forward::<dyn Topping, Cheese>());
    })
    .await;
    let scope = services.scope();
    let (cheese, topping) =
        (scope.get::<Cheese>().expect("itself"), scope.get::<dyn Topping>().expect("alias"));
    assert!(std::ptr::addr_eq(Arc::as_ptr(&cheese), Arc::as_ptr(&topping)));
}

#[tokio::test]
async fn generic_handles_are_told_apart_by_their_parameter() {
    struct Shelf<T> {
        items: Vec<T>,
    }
    /// A handle in the manner of a repository: built in place, never registered.
    #[derive(Inject)]
    struct Library<T: Send + Sync + 'static> {
        shelf: Arc<Shelf<T>>,
    }
    #[derive(Inject)]
    struct Reader {
        words: Library<&'static str>,
        numbers: Library<u8>,
    }
    let services = started(|services| {
        services.add_instance(Shelf { items: vec!["a", "b"] });
        services.add_instance(Shelf { items: vec![1_u8] });
        services.enter::<Reader>();
    })
    .await;
    let reader: Reader = services.scope().inject().expect("both are there");
    assert_eq!(reader.words.shelf.items, ["a", "b"]);
    assert_eq!(reader.numbers.shelf.items, [1]);
}

#[tokio::test]
async fn a_struct_out_of_a_macro_derives_as_well() {
    macro_rules! desk {
        ($name:ident, $ty:ty) => {
            #[derive(Inject)]
            struct $name {
                clerk: $ty,
                press: Arc<Press>,
            }
        };
    }
    desk!(Desk, Arc<Clerk>);
    let services = started(|services| {
        services.add_instance(Press::default()).add_scoped::<Clerk, Clerk>().enter::<Desk>();
    })
    .await;
    let desk: Desk = services.scope().inject().expect("all is there");
    assert!(Arc::ptr_eq(&desk.clerk.press, &desk.press));
}

#[derive(Debug, Default, PartialEq)]
struct Tenant(u32);

#[tokio::test]
async fn a_scope_is_given_its_own_value_once_and_has_the_default_otherwise() {
    let services = started(|services| {
        services.add(Service::per_scope::<Tenant>()).add_scoped::<Cheese, Cheese>();
    })
    .await;
    let (given, left) = (services.scope(), services.scope());
    given.provide(Tenant(7)).expect("it has none yet");
    assert_eq!(*given.get::<Tenant>().expect("given"), Tenant(7));
    assert_eq!(*left.get::<Tenant>().expect("default"), Tenant(0));

    let twice = given.provide(Tenant(8)).expect_err("it has one");
    assert_eq!(cause(&twice), "the scope has its `Tenant` already");
    let late = left.provide(Tenant(8)).expect_err("the default was handed out");
    assert_eq!(cause(&late), "the scope has its `Tenant` already");
    let built = left.provide(Cheese {}).expect_err("the container builds it");
    assert_eq!(cause(&built), "`Cheese` is not a value of a scope");
    let unknown = left.provide(Serial(1)).expect_err("nobody knows it");
    assert_eq!(cause(&unknown), "`Serial` is not registered");
}

#[tokio::test]
async fn singletons_start_once_each_after_what_it_needs() {
    type Log = Arc<std::sync::Mutex<Vec<&'static str>>>;
    let log = Log::default();
    struct Pool;
    struct Cache;
    #[derive(Inject)]
    struct Via {
        _pool: Arc<Pool>,
    }
    let noted = |name| {
        let log = Arc::clone(&log);
        move || log.lock().expect("no panic").push(name)
    };
    let (pool, cache, seed) = (noted("pool"), noted("cache"), noted("seed"));
    let services = started(|services| {
        // Registered in the wrong order; a transient stands between.
        services.add(Service::connected::<Cache, (Arc<Via>, Arc<Serial>), _, _>(move |_| async move {
            tokio::task::yield_now().await;
            cache();
            Ok(Arc::new(Cache))
        }));
        services.add_transient::<Via, Via>();
        services.add(Service::connected::<Pool, (), _, _>(move |()| async move {
            tokio::task::yield_now().await;
            pool();
            Ok(Arc::new(Pool))
        }));
        services.add(Service::factory::<Serial, (Arc<Pool>,), _>(Lifetime::Singleton, move |_| {
            seed();
            Ok(Arc::new(Serial(0)))
        }));
    })
    .await;
    services.scope().get::<Cache>().expect("started");
    services.get::<Cache>().expect("started");
    assert_eq!(*log.lock().expect("no panic"), ["pool", "seed", "cache"]);
}

#[tokio::test]
async fn a_factory_that_fails_in_a_scope_fails_who_needs_it_and_may_succeed_later() {
    #[derive(Inject)]
    struct Consumer {
        serial: Arc<Serial>,
    }
    let services = started(|services| {
        services.add_instance(Press::default());
        services.add_scoped::<Consumer, Consumer>();
        services.add(Service::factory::<Serial, (Arc<Press>,), _>(Lifetime::Scoped, |(press,)| match press
            .next()
        {
            Serial(0) => Err(Error::unavailable("the press is jammed")),
            serial => Ok(Arc::new(serial)),
        }));
    })
    .await;
    let scope = services.scope();
    let error = scope.get::<Consumer>().err().expect("what it needs fails");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(scope.get::<Consumer>().expect("nothing was kept of the failure").serial.0, 1);
}

#[tokio::test]
async fn applications_in_one_process_do_not_see_each_other() {
    let one = started(|services| {
        services.add_instance(Serial(1)).add_singleton::<dyn Topping, Cheese>();
    })
    .await;
    let other = started(|services| {
        services.add_instance(Serial(2));
    })
    .await;
    assert_eq!(one.get::<Serial>().expect("its own").0, 1);
    assert_eq!(other.get::<Serial>().expect("its own").0, 2);
    assert!(other.scope().find::<dyn Topping>().expect("nothing fails").is_none());
}

#[tokio::test]
async fn a_singleton_opens_scopes_of_its_own_until_the_end() {
    #[derive(Inject)]
    struct Worker {
        scopes: ScopeFactory,
    }
    let services = started(|services| {
        services.add_singleton::<Worker, Worker>().add_scoped::<Cheese, Cheese>();
    })
    .await;
    let worker = services.get::<Worker>().expect("a singleton");
    assert!(worker.scopes.scope().expect("the application runs").get::<Cheese>().is_ok());
    services.dispose().await;
    let ended = worker.scopes.scope().expect_err("the application has ended");
    assert_eq!(ended.kind(), ErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_scopes_at_once_keep_to_themselves() -> Result<()> {
    const SCOPES: usize = 1000;
    #[derive(Inject)]
    struct Request {
        serial: Arc<Serial>,
        again: Arc<Serial>,
    }
    let services = started(|services| {
        services.add_instance(Press::default()).add_scoped::<Request, Request>();
        services.add(Service::factory::<Serial, (Arc<Press>,), _>(Lifetime::Scoped, |(press,)| {
            Ok(Arc::new(press.next()))
        }));
    })
    .await;
    let barrier = Arc::new(Barrier::new(SCOPES));
    let tasks: Vec<_> = (0..SCOPES)
        .map(|_| {
            let (services, barrier) = (services.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                let scope = services.scope();
                barrier.wait().await;
                let (one, other) = (scope.get::<Request>()?, scope.get::<Request>()?);
                assert!(Arc::ptr_eq(&one, &other) && Arc::ptr_eq(&one.serial, &one.again));
                scope.close().await;
                Ok::<_, Error>(one.serial.0)
            })
        })
        .collect();
    let mut seen = vec![false; SCOPES];
    for task in tasks {
        let serial = task.await.expect("it does not panic")?;
        assert!(!std::mem::replace(&mut seen[serial], true), "serial {serial} was given to two scopes");
    }
    assert!(seen.into_iter().all(|seen| seen));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_scoped_service_is_built_once_when_many_ask_at_once() {
    let services = started(|services| {
        services.add_instance(Press::default());
        services.add(Service::factory::<Serial, (Arc<Press>,), _>(Lifetime::Scoped, |(press,)| {
            Ok(Arc::new(press.next()))
        }));
    })
    .await;
    let (scope, barrier) = (services.scope(), Arc::new(Barrier::new(64)));
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (scope, barrier) = (scope.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                scope.get::<Serial>().expect("made").0
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.expect("it does not panic"), 0);
    }
}
