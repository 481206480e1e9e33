//! What the container and the mediator cost: `cargo bench -p neuroglia-benches --bench dispatch`.
//!
//! Each figure is of one call on one thread, without contention. The marks are in `docs/benchmarks.md`.

extern crate neuroglia_core as neuroglia;

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use neuroglia::cache::{Cache, CacheEngine, MemoryCache};
use neuroglia::clock::{Clock, Timestamp};
use neuroglia::data::memory::MemoryStore;
use neuroglia::data::{self, Migration, Repository, Step, Store, UnitOfWork};
use neuroglia::di::{Inject, Scope, Service, ServiceCollection, Services};
use neuroglia::domain::{Aggregate, Root};
use neuroglia::error::Result;
use neuroglia::id::Ids;
use neuroglia::mediation::{Behaviour, Call, Mediator, Messages, Next, Pipeline, Query, QueryHandler};
use serde::{Deserialize, Serialize};

/// Runs a future that never waits; a runtime's own cost is not what is measured.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("nothing waits here"),
    }
}

fn start(register: impl FnOnce(&mut ServiceCollection)) -> Services {
    let mut services = ServiceCollection::new();
    register(&mut services);
    ready(services.build().expect("the graph holds").start()).expect("nothing fails")
}

struct Add {
    left: u64,
    right: u64,
}

impl Query for Add {
    type Response = u64;
    type Handler = AddHandler;
}

#[derive(Inject)]
struct AddHandler {
    table: Arc<Table>,
}

struct Table {
    bonus: u64,
}

impl QueryHandler<Add> for AddHandler {
    async fn handle(&self, query: Add) -> Result<u64> {
        Ok(query.left + query.right + self.table.bonus)
    }
}

#[derive(Inject)]
struct PassThrough {}

impl Behaviour for PassThrough {
    async fn handle(&self, call: &mut Call<'_>, next: Next<'_>) -> Result<()> {
        next.run(call).await
    }
}

fn dispatch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dispatch");
    for behaviours in [0, 1, 5] {
        let pipeline = (0..behaviours).fold(Pipeline::empty(), |pipeline, _| pipeline.then::<PassThrough>());
        let services = start(|services| {
            services.add_instance(Table { bonus: 1 });
            Messages::new(pipeline).query::<Add>().register(services);
        });
        let scope = services.scope();
        let mediator: Mediator = scope.inject().expect("it is registered");
        group.bench_function(format!("{behaviours} behaviours"), |bencher| {
            bencher.iter(|| {
                ready(mediator.send(Add { left: black_box(1), right: black_box(2) })).expect("it cannot fail")
            });
        });
    }
    let services = start(|services| {
        services.add_instance(Table { bonus: 1 });
        Messages::default().query::<Add>().register(services);
    });
    group.bench_function("standard pipeline, new scope", |bencher| {
        bencher.iter(|| {
            let scope = services.scope();
            let mediator: Mediator = scope.inject().expect("it is registered");
            ready(mediator.send(Add { left: black_box(1), right: black_box(2) })).expect("it cannot fail")
        });
    });
    group.finish();
}

#[derive(Inject)]
struct Connection {
    _table: Arc<Table>,
}

#[derive(Inject)]
struct Session {
    _connection: Arc<Connection>,
}

#[derive(Inject)]
struct Request {
    _session: Arc<Session>,
}

fn container(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("container");
    let services = start(|services| {
        services.add_instance(Table { bonus: 1 });
        services.add_scoped::<Connection, Connection>();
        services.add_scoped::<Session, Session>();
        services.add_scoped::<Request, Request>();
    });
    group.bench_function("new scope", |bencher| bencher.iter(|| services.scope()));
    group.bench_function("new scope, three scoped services deep", |bencher| {
        bencher.iter(|| services.scope().get::<Request>().expect("the chain holds"));
    });
    let scope = services.scope();
    group.bench_function("scoped service, built", |bencher| {
        bencher.iter(|| black_box(&scope).get::<Request>().expect("it is built"));
    });
    group.bench_function("singleton from a scope", |bencher| {
        bencher.iter(|| black_box(&scope).get::<Table>().expect("it is registered"));
    });
    group.bench_function("singleton from the root", |bencher| {
        bencher.iter(|| black_box(&services).get::<Table>().expect("it is registered"));
    });
    group.finish();
}

#[derive(Serialize, Deserialize)]
struct Pizza {
    id: String,
    name: String,
    price_cents: u32,
    #[serde(skip)]
    root: Root,
}

impl Aggregate for Pizza {
    type Id = String;
    const COLLECTION: &'static str = "pizzas";

    fn id(&self) -> &String {
        &self.id
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}

fn pizzas() -> Scope {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let pizzas =
        Migration { version: 1, name: "pizzas", steps: vec![Step::CreateCollection(Pizza::COLLECTION)] };
    ready(store.migrate(&[pizzas], Timestamp::UNIX_EPOCH)).expect("it is empty");
    let services = start(|services| {
        services.add(Service::shared(store));
        data::register(services);
        Messages::default().register(services);
    });
    let scope = services.scope();
    let pizzas: Repository<Pizza> = scope.inject().expect("there is a store");
    let (id, name) = ("margherita".to_owned(), "Margherita".to_owned());
    pizzas.save(&mut Pizza { id, name, price_cents: 1299, root: Root::default() }).expect("it is new");
    ready(scope.get::<UnitOfWork>().expect("there is a store").commit()).expect("nobody else is here");
    scope
}

fn repository(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("repository");
    let scope = pizzas();
    let pizzas: Repository<Pizza> = scope.inject().expect("there is a store");
    let id = "margherita".to_owned();
    ready(pizzas.get(&id)).expect("it answers").expect("it is there");
    group.bench_function("get from the identity map", |bencher| {
        bencher.iter(|| ready(pizzas.get(black_box(&id))).expect("it answers"));
    });
    let body = r#"{"id":"margherita","name":"Margherita","price_cents":1299}"#;
    group.bench_function("of which parsing", |bencher| {
        bencher.iter(|| serde_json::from_str::<Pizza>(black_box(body)).expect("it is a pizza"));
    });
    group.bench_function("get from the store, new scope", |bencher| {
        bencher.iter(|| {
            let pizzas: Repository<Pizza> = scope.sibling().inject().expect("there is a store");
            ready(pizzas.get(black_box(&id))).expect("it answers")
        });
    });
    group.finish();
}

fn cache(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cache");
    let engine: Arc<dyn CacheEngine> = Arc::new(MemoryCache::new(Default::default(), Clock::system()));
    let cache = Cache::new(Arc::clone(&engine), "shop", Ids::random());
    let ttl = Duration::from_secs(3600);
    let pizza = || Pizza {
        id: "margherita".to_owned(),
        name: "Margherita".to_owned(),
        price_cents: 1299,
        root: Root::default(),
    };
    ready(cache.set("margherita", &pizza(), ttl));
    ready(cache.set("count", &1299_u32, ttl));
    group.bench_function("hit in memory, bytes", |bencher| {
        bencher.iter(|| ready(engine.get(black_box("shop:margherita"))).expect("memory answers"));
    });
    group.bench_function("hit in memory, a number", |bencher| {
        bencher.iter(|| ready(cache.get::<u32>(black_box("count"))).expect("it is there"));
    });
    group.bench_function("hit in memory, a struct", |bencher| {
        bencher.iter(|| ready(cache.get::<Pizza>(black_box("margherita"))).expect("it is there"));
    });
    group.bench_function("get_or_compute, hit in memory", |bencher| {
        bencher.iter(|| {
            let compute = || async { Ok(pizza()) };
            ready(cache.get_or_compute(black_box("margherita"), ttl, compute)).expect("it is there")
        });
    });
    group.finish();
}

criterion_group!(benches, dispatch, container, repository, cache);
criterion_main!(benches);
