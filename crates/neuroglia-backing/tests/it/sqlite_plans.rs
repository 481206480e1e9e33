//! The queries use the declared indexes.

use neuroglia::data::{Condition, Direction, Op, Path, Select, Sort, Value};

use crate::support;
use Direction::{Ascending, Descending};

const STATUS: Path = Path::Body("status");
const PLACED_AT: Path = Path::Body("placed_at");

fn is(path: Path, op: Op, value: &str) -> Condition {
    Condition::Compare { path, op, value: Value::Text(value.to_owned()) }
}

async fn plan(condition: Condition, sort: &[(Path, Direction)]) -> String {
    let (store, _folder) = support::orders().await;
    let sort = sort.iter().map(|&(path, direction)| Sort { path, direction }).collect();
    let select = Select { collection: "orders", condition, sort, limit: 21 };
    store.explain(&select).await.expect("a sound query has a plan").join("; ")
}

#[tokio::test]
async fn an_equality_and_its_order_come_from_one_index() {
    let sort = [(PLACED_AT, Ascending), (Path::Id, Ascending)];
    let plan = plan(is(STATUS, Op::Equal, "ready"), &sort).await;
    assert!(plan.contains("SEARCH orders USING INDEX orders_status"), "{plan}");
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
}

#[tokio::test]
async fn one_of_several_values_is_looked_up() {
    let values = ["ready", "cooking"].map(|value| Value::Text(value.to_owned())).to_vec();
    let plan = plan(Condition::In { path: STATUS, values }, &[(Path::Id, Ascending)]).await;
    assert!(plan.contains("SEARCH orders USING INDEX orders_status"), "{plan}");
}

#[tokio::test]
async fn a_unique_value_is_looked_up() {
    let plan = plan(is(Path::Body("number"), Op::Equal, "17"), &[(Path::Id, Ascending)]).await;
    assert!(plan.contains("SEARCH orders USING INDEX orders_number"), "{plan}");
}

#[tokio::test]
async fn a_list_by_id_is_not_sorted() {
    for direction in [Ascending, Descending] {
        let plan = plan(Condition::All(Vec::new()), &[(Path::Id, direction)]).await;
        assert!(plan.contains("USING INDEX sqlite_autoindex_orders_1"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}

/// What a query for the page after a cursor asks: the shape that `Query::to_selects` gives it.
fn after(path: Path, at: Op, past: Op, id: Op) -> Condition {
    let tied = Condition::All(vec![is(path, Op::Equal, "2026"), is(Path::Id, id, "o-1")]);
    let after =
        Condition::All(vec![is(path, at, "2026"), Condition::Any(vec![is(path, past, "2026"), tied])]);
    Condition::All(vec![Condition::All(Vec::new()), after])
}

#[tokio::test]
async fn a_deep_page_begins_where_the_index_leads() {
    for (direction, at, past) in
        [(Ascending, Op::GreaterOrEqual, Op::Greater), (Descending, Op::LessOrEqual, Op::Less)]
    {
        let sort = [(PLACED_AT, direction), (Path::Id, direction)];
        let plan = plan(after(PLACED_AT, at, past, past), &sort).await;
        assert!(plan.starts_with("SEARCH orders USING INDEX orders_placed_at (<expr>"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE") && !plan.contains("MULTI-INDEX OR"), "{plan}");
    }
}

#[tokio::test]
async fn a_deep_page_by_id_begins_where_the_key_leads() {
    let plan = plan(is(Path::Id, Op::Less, "o-1"), &[(Path::Id, Descending)]).await;
    assert!(plan.contains("SEARCH orders USING INDEX sqlite_autoindex_orders_1 (id<?)"), "{plan}");
}
