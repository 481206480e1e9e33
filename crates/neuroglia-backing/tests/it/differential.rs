//! Random documents and random queries: all engines give the same documents in the same order.

use std::sync::Arc;

use neuroglia::clock::Timestamp;
use neuroglia::data::memory::MemoryStore;
use neuroglia::data::{
    Batch, Change, Condition, Direction, Index, Migration, Op, Path, Select, Sort, Step, Store, Value, Write,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use crate::support;

/// The fields, each with its own type, and what its values are drawn from: few, so that there are ties.
const TEXT: Path = Path::Body("text");
const RANK: Path = Path::Body("rank");
const DONE: Path = Path::Body("done");
const NESTED: Path = Path::Body("place.shelf");

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["", "a", "A", "aa", "b", "é", "🍕", "10", "9", "'", "%", "\"", "a b"])
            .prop_map(str::to_owned),
        "\\PC{0,4}",
    ]
}

pub(crate) fn ranks() -> impl Strategy<Value = i64> {
    prop_oneof![-3_i64..4, Just(i64::MAX), Just(i64::MIN), any::<i64>()]
}

/// The value, null, or nothing at all.
fn field(
    value: impl Strategy<Value = serde_json::Value>,
) -> impl Strategy<Value = Option<serde_json::Value>> {
    prop_oneof![4 => value.prop_map(Some), 1 => Just(Some(json!(null))), 1 => Just(None)]
}

prop_compose! {
    pub(crate) fn body()(
        text in field(texts().prop_map(|text| json!(text))),
        rank in field(ranks().prop_map(|rank| json!(rank))),
        done in field(any::<bool>().prop_map(|done| json!(done))),
        place in field(field(texts().prop_map(|text| json!(text))).prop_map(|shelf| match shelf {
            Some(shelf) => json!({ "shelf": shelf }),
            None => json!({}),
        })),
    ) -> String {
        let fields = [("text", text), ("rank", rank), ("done", done), ("place", place)];
        let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        serde_json::Value::Object(fields.collect()).to_string()
    }
}

fn comparison() -> impl Strategy<Value = (Path, Value)> {
    prop_oneof![
        texts().prop_map(|text| (TEXT, Value::Text(text))),
        texts().prop_map(|text| (NESTED, Value::Text(text))),
        ranks().prop_map(|rank| (RANK, Value::Integer(rank))),
        any::<bool>().prop_map(|done| (DONE, Value::Bool(done))),
        (0..30_u32).prop_map(|id| (Path::Id, Value::Text(format!("d{id:02}")))),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let op = prop::sample::select(vec![
        Op::Equal,
        Op::NotEqual,
        Op::Less,
        Op::LessOrEqual,
        Op::Greater,
        Op::GreaterOrEqual,
    ]);
    let leaf = prop_oneof![
        4 => (comparison(), op).prop_map(|((path, value), op)| Condition::Compare { path, op, value }),
        1 => prop::sample::select(vec![TEXT, RANK, DONE, NESTED, Path::Id]).prop_map(Condition::IsNull),
        1 => prop::collection::vec(ranks().prop_map(Value::Integer), 0..4)
            .prop_map(|values| Condition::In { path: RANK, values }),
        1 => prop::collection::vec(texts().prop_map(Value::Text), 0..4)
            .prop_map(|values| Condition::In { path: TEXT, values }),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Condition::All),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Condition::Any),
            inner.prop_map(|part| Condition::Not(Box::new(part))),
        ]
    })
}

fn sort() -> impl Strategy<Value = Vec<Sort>> {
    let direction = || prop_oneof![Just(Direction::Ascending), Just(Direction::Descending)];
    let key = (prop::sample::select(vec![TEXT, RANK, DONE, NESTED]), direction());
    (prop::collection::vec(key, 0..4), direction()).prop_map(|(keys, last)| {
        let keys = keys.into_iter().map(|(path, direction)| Sort { path, direction });
        keys.chain([Sort { path: Path::Id, direction: last }]).collect()
    })
}

fn selects() -> impl Strategy<Value = Vec<Select>> {
    let select = (condition(), sort(), prop_oneof![Just(1_000), 0..6_u32])
        .prop_map(|(condition, sort, limit)| Select { collection: "things", condition, sort, limit });
    prop::collection::vec(select, 1..12)
}

pub(crate) fn schema() -> Migration {
    let index = |name, paths: &[&'static str]| {
        Step::CreateIndex(Index { collection: "things", name, paths: paths.to_vec(), unique: false })
    };
    let steps = vec![
        Step::CreateCollection("things"),
        index("things_rank", &["rank"]),
        index("things_text_done", &["text", "done"]),
    ];
    Migration { version: 1, name: "things", steps }
}

#[test]
fn all_engines_give_the_same_documents_in_the_same_order() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a machine that runs tests has a thread to spare");
    let (sqlite, _folder) = runtime.block_on(support::sqlite());
    let (postgres, _database) = runtime.block_on(support::postgres());
    let (mongodb, _mongodb) = runtime.block_on(support::mongodb());
    let stores: [Arc<dyn Store>; 4] = [Arc::new(MemoryStore::new()), sqlite, postgres, mongodb];
    runtime.block_on(async {
        for store in &stores {
            store.migrate(&[schema()], Timestamp::UNIX_EPOCH).await.expect("sound migrations are applied");
        }
    });

    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let cases = (prop::collection::vec(body(), 0..30), selects());
    let outcome = runner.run(&cases, |(bodies, selects)| {
        runtime.block_on(async {
            let write =
                |place: usize, change| Write { collection: "things", id: format!("d{place:02}"), change };
            let commit = async |writes: Vec<Write>| {
                for store in &stores {
                    let batch = Batch { writes: writes.clone(), ..Batch::default() };
                    store.commit(batch).await.expect("a batch that breaks no rule is committed");
                }
            };
            let insert =
                |(place, body): (usize, &String)| write(place, Change::Insert { body: body.clone() });
            commit(bodies.iter().enumerate().map(insert).collect()).await;
            let mut answers = Vec::new();
            for select in &selects {
                let mut all = Vec::new();
                for store in &stores {
                    let found = store.query(select).await.expect("a sound query is answered");
                    let ids: Vec<_> = found.into_iter().map(|document| document.id).collect();
                    all.push((ids, store.count(select).await.expect("a sound count is answered")));
                }
                answers.push((select, all));
            }
            commit((0..bodies.len()).map(|place| write(place, Change::Delete { expected: 0 })).collect())
                .await;
            for (select, all) in answers {
                prop_assert_eq!(&all[0], &all[1], "memory and sqlite on {:?} over {:#?}", select, &bodies);
                prop_assert_eq!(&all[0], &all[2], "memory and postgres on {:?} over {:#?}", select, &bodies);
                prop_assert_eq!(&all[0], &all[3], "memory and mongodb on {:?} over {:#?}", select, &bodies);
            }
            Ok(())
        })
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
