//! From a [`Select`] to a filter, an order and a limit.
//!
//! Values become operands of explicit operators, so that a text is never taken for one. The logic is SQL's, with
//! three values: an opposite is pushed down to the comparisons, where it means "set, and not so".

use mongodb::bson::{Bson, Document, doc};
use neuroglia::data::{Condition, Direction, Op, Path, Select, Value};
use neuroglia::error::Result;

use super::json::{BODY, integer};

/// A query as MongoDB reads it.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) filter: Document,
    pub(super) sort: Document,
    pub(super) limit: i64,
}

pub(super) fn compile(select: &Select) -> Result<Compiled> {
    select.check()?;
    let direction = |direction| match direction {
        Direction::Ascending => 1,
        Direction::Descending => -1,
    };
    let mut order = Document::new();
    for sort in &select.sort {
        // What documents are the same in already they are not sorted by again; a document has a field once.
        order.entry(field(sort.path)).or_insert(Bson::Int32(direction(sort.direction)));
    }
    Ok(Compiled { filter: holds(&select.condition, true), sort: order, limit: i64::from(select.limit) })
}

/// The name of a field of a stored document.
pub(super) fn field(path: Path) -> String {
    match path {
        Path::Id => "_id".to_owned(),
        Path::Body(path) => format!("{BODY}.{path}"),
    }
}

/// What holds when the condition is true, or when it is false; neither when it is unknown.
fn holds(condition: &Condition, is: bool) -> Document {
    match condition {
        Condition::All(parts) => parted(parts, is, is),
        Condition::Any(parts) => parted(parts, is, !is),
        Condition::Not(part) => holds(part, !is),
        Condition::Compare { value: Value::Null, .. } => never(),
        Condition::Compare { path, op, value } => compared(*path, *op, value, is),
        Condition::In { path, values } => within(*path, values, is),
        Condition::IsNull(Path::Id) => {
            if is {
                never()
            } else {
                Document::new()
            }
        }
        Condition::IsNull(Path::Body(path)) => unset(path, is),
    }
}

fn never() -> Document {
    doc! { "_id": { "$in": [] } }
}

/// All of the parts, or one of them.
fn parted(parts: &[Condition], is: bool, all: bool) -> Document {
    let mut several: Vec<_> = parts.iter().map(|part| holds(part, is)).collect();
    match (several.len(), all) {
        (0, true) => Document::new(),
        (0, false) => never(),
        (1, _) => several.remove(0),
        (_, true) => doc! { "$and": several },
        (_, false) => doc! { "$or": several },
    }
}

fn compared(path: Path, op: Op, value: &Value, is: bool) -> Document {
    let name = match op {
        Op::Equal => "$eq",
        Op::NotEqual => "$ne",
        Op::Less => "$lt",
        Op::LessOrEqual => "$lte",
        Op::Greater => "$gt",
        Op::GreaterOrEqual => "$gte",
    };
    let mut wanted = doc! { name: operand(path, value) };
    if !is {
        wanted = doc! { "$not": wanted };
    }
    // An opposite is also true where nothing is.
    if !is || op == Op::NotEqual {
        wanted.insert("$exists", true);
    }
    guarded(path, doc! { field(path): wanted })
}

fn within(path: Path, values: &[Value], is: bool) -> Document {
    let known: Vec<_> =
        values.iter().filter(|value| **value != Value::Null).map(|value| operand(path, value)).collect();
    match is {
        true => guarded(path, doc! { field(path): { "$in": known } }),
        // Among unknown values the opposite is never certain; among none it always is.
        false if known.len() < values.len() => never(),
        false if known.is_empty() => Document::new(),
        false => guarded(path, doc! { field(path): { "$exists": true, "$nin": known } }),
    }
}

fn unset(path: &'static str, is: bool) -> Document {
    let set = doc! { field(Path::Body(path)): { "$exists": !is } };
    let lists = lists(path);
    match (lists.is_empty(), is) {
        (true, _) => set,
        (false, false) => guarded(Path::Body(path), set),
        (false, true) => {
            let list = lists.into_iter().map(|name| doc! { name: { "$type": "array" } });
            let any: Vec<_> = list.chain([set]).collect();
            doc! { "$or": any }
        }
    }
}

/// A number in a path is the name of a field, which MongoDB would also take for a place in a list.
fn guarded(path: Path, condition: Document) -> Document {
    let Path::Body(path) = path else { return condition };
    let lists = lists(path);
    if lists.is_empty() {
        return condition;
    }
    let no_list = lists.into_iter().map(|name| doc! { name: { "$not": { "$type": "array" } } });
    let all: Vec<_> = std::iter::once(condition).chain(no_list).collect();
    doc! { "$and": all }
}

/// What stands before each number in a path.
fn lists(path: &str) -> Vec<String> {
    let numbers = path.match_indices('.').filter(|(dot, _)| {
        let part = path[dot + 1..].split('.').next().unwrap_or_default();
        part.bytes().all(|byte| byte.is_ascii_digit())
    });
    numbers.map(|(dot, _)| format!("{BODY}.{}", &path[..dot])).collect()
}

fn operand(path: Path, value: &Value) -> Bson {
    match (path, value) {
        (_, Value::Null) => Bson::Null,
        (_, Value::Text(text)) => Bson::String(text.clone()),
        // An id is a text, whatever it looks like.
        (Path::Id, Value::Integer(value)) => Bson::String(value.to_string()),
        (Path::Id, Value::Bool(value)) => Bson::String(value.to_string()),
        (Path::Body(_), Value::Integer(value)) => integer(*value),
        (Path::Body(_), Value::Bool(value)) => Bson::Boolean(*value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANK: Path = Path::Body("rank");

    fn equal(path: Path, value: i64) -> Condition {
        Condition::Compare { path, op: Op::Equal, value: Value::Integer(value) }
    }

    #[test]
    fn an_opposite_is_true_of_what_is_set_only() {
        let both = Condition::All(vec![equal(RANK, 1), Condition::IsNull(Path::Body("text"))]);
        assert_eq!(
            holds(&Condition::Not(Box::new(both)), true),
            doc! { "$or": [
                { "body.rank": { "$not": { "$eq": 1 }, "$exists": true } },
                { "body.text": { "$exists": true } },
            ] }
        );
    }

    #[test]
    fn of_two_orders_by_one_field_the_first_counts() {
        let by = |direction| neuroglia::data::Sort { path: RANK, direction };
        let sort = vec![by(Direction::Ascending), by(Direction::Descending)];
        let select = Select { collection: "things", condition: Condition::All(Vec::new()), sort, limit: 1 };
        assert_eq!(compile(&select).expect("it is sound").sort, doc! { "body.rank": 1 });
    }

    #[test]
    fn a_number_in_a_path_is_a_name() {
        assert_eq!(lists("place.0"), ["body.place"]);
        assert_eq!(lists("a.0.b.12"), ["body.a", "body.a.0.b"]);
        assert_eq!(lists("0.a1"), Vec::<String>::new());
    }
}
