//! Random documents, orders and page sizes: the pages together are the whole result, on both engines.

use std::sync::Arc;

use neuroglia::clock::{Clock, Timestamp};
use neuroglia::data::memory::MemoryStore;
use neuroglia::data::{Batch, Change, Direction, Field, Query, Repository, Store, UnitOfWork, Write};
use neuroglia::domain::{Aggregate, Root};
use neuroglia::id::Ids;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::differential::{body, ranks, schema};
use crate::support;

/// A document with an id and whatever else.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Thing {
    id: String,
    #[serde(flatten)]
    fields: Map<String, Value>,
    #[serde(skip)]
    root: Root,
}

impl Aggregate for Thing {
    type Id = String;

    const COLLECTION: &'static str = "things";

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

/// What a list is sorted by; each has nulls, gaps and ties.
#[derive(Debug, Clone, Copy)]
enum Key {
    Text,
    Rank,
    Done,
    Nested,
}

const RANK: Field<Thing, i64> = Field::new("rank");

fn sorted<T: neuroglia::data::Scalar>(
    query: Query<Thing>,
    field: Field<Thing, T>,
    by: Direction,
) -> Query<Thing> {
    match by {
        Direction::Ascending => query.ascending(field),
        Direction::Descending => query.descending(field),
    }
}

fn queries() -> impl Strategy<Value = Query<Thing>> {
    let key = prop::sample::select(vec![Key::Text, Key::Rank, Key::Done, Key::Nested]);
    let direction = prop_oneof![Just(Direction::Ascending), Just(Direction::Descending)];
    let filter = prop::option::of(ranks());
    (filter, prop::collection::vec((key, direction), 0..4), any::<bool>()).prop_map(
        |(least, keys, newest)| {
            let all = least.map_or_else(Query::all, |least| Query::filter(RANK.ge(least).or(RANK.is_null())));
            let query = keys.into_iter().fold(all, |query, (key, by)| match key {
                Key::Text => sorted(query, Field::<_, String>::new("text"), by),
                Key::Rank => sorted(query, RANK, by),
                Key::Done => sorted(query, Field::<_, bool>::new("done"), by),
                Key::Nested => sorted(query, Field::<_, String>::new("place.shelf"), by),
            });
            if newest { query.newest_first() } else { query }
        },
    )
}

fn things(store: &Arc<dyn Store>) -> Repository<Thing> {
    Repository::new(Arc::new(UnitOfWork::new(Arc::clone(store), Clock::system(), Ids::sequence())))
}

/// Every id, read in pages; a cursor is text on its way through a client.
async fn leaf_through(store: &Arc<dyn Store>, query: &Query<Thing>, limit: u32) -> Vec<String> {
    let things = things(store);
    let (mut ids, mut cursor) = (Vec::new(), None);
    loop {
        let page = things.find(query.clone().after(cursor).limit(limit)).await.expect("a page is read");
        assert!(page.items.len() <= limit as usize, "a page is not larger than its limit");
        ids.extend(page.items.into_iter().map(|thing| thing.id));
        match page.next {
            None => return ids,
            Some(next) => cursor = Some(next.to_string().parse().expect("a cursor reads its own text")),
        }
    }
}

#[test]
fn pages_together_are_the_whole_result_on_both_engines() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a machine that runs tests has a thread to spare");
    let (sqlite, _folder) = runtime.block_on(support::sqlite());
    let stores: [Arc<dyn Store>; 2] = [Arc::new(MemoryStore::new()), sqlite];
    runtime.block_on(async {
        for store in &stores {
            store.migrate(&[schema()], Timestamp::UNIX_EPOCH).await.expect("sound migrations are applied");
        }
    });

    let mut runner = TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
    let cases = (prop::collection::vec(body(), 0..30), prop::collection::vec((queries(), 1..7_u32), 1..6));
    let outcome = runner.run(&cases, |(bodies, queries)| {
        runtime.block_on(async {
            let write =
                |place: usize, change| Write { collection: "things", id: format!("d{place:02}"), change };
            let commit = async |writes: Vec<Write>| {
                for store in &stores {
                    let batch = Batch { writes: writes.clone(), ..Batch::default() };
                    store.commit(batch).await.expect("a batch that breaks no rule is committed");
                }
            };
            let insert = |(place, body): (usize, &String)| {
                let mut body: Value = serde_json::from_str(body).expect("it is JSON");
                body["id"] = json!(format!("d{place:02}"));
                write(place, Change::Insert { body: body.to_string() })
            };
            commit(bodies.iter().enumerate().map(insert).collect()).await;
            let mut answers = Vec::new();
            for (query, limit) in &queries {
                let whole = leaf_through(&stores[0], query, 100).await;
                let [memory, sqlite] = &stores;
                let pages =
                    [leaf_through(memory, query, *limit).await, leaf_through(sqlite, query, *limit).await];
                answers.push((query, limit, whole, pages));
            }
            commit((0..bodies.len()).map(|place| write(place, Change::Delete { expected: 0 })).collect())
                .await;
            for (query, limit, whole, [memory, sqlite]) in answers {
                prop_assert_eq!(&memory, &whole, "memory, {} a page, {:?} over {:#?}", limit, query, &bodies);
                prop_assert_eq!(&sqlite, &whole, "sqlite, {} a page, {:?} over {:#?}", limit, query, &bodies);
            }
            Ok(())
        })
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
