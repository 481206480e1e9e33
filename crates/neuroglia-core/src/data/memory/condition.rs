//! What a [`Select`] means: three-valued logic and an order over JSON documents.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value as Json;

use crate::data::{Condition, Direction, Op, Path, Select, Sort, Value};

/// A field's value as it is compared: unset, then truth values and numbers, then texts by their bytes.
#[derive(Debug, Clone)]
pub(super) enum Key<'a> {
    Unset,
    Integer(i64),
    Real(f64),
    Text(Cow<'a, str>),
}

impl<'a> Key<'a> {
    pub(super) fn at(path: Path, id: &'a str, body: &'a Json) -> Self {
        match path {
            Path::Id => Self::Text(Cow::Borrowed(id)),
            Path::Body(path) => Self::in_body(path, body),
        }
    }

    pub(super) fn in_body(path: &str, body: &'a Json) -> Self {
        match path.split('.').try_fold(body, |value, part| value.get(part)) {
            None | Some(Json::Null) => Self::Unset,
            Some(Json::Bool(value)) => Self::Integer(i64::from(*value)),
            Some(Json::Number(value)) => match (value.as_i64(), value.as_f64()) {
                (Some(value), _) => Self::Integer(value),
                (None, Some(value)) => Self::Real(value),
                (None, None) => Self::Unset,
            },
            Some(Json::String(value)) => Self::Text(Cow::Borrowed(value)),
            Some(whole) => Self::Text(Cow::Owned(whole.to_string())),
        }
    }

    fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Unset,
            Value::Bool(value) => Self::Integer(i64::from(*value)),
            Value::Integer(value) => Self::Integer(*value),
            Value::Text(value) => Self::Text(Cow::Borrowed(value)),
        }
    }

    pub(super) fn is_unset(&self) -> bool {
        matches!(self, Self::Unset)
    }

    pub(super) fn into_owned(self) -> Key<'static> {
        match self {
            Self::Unset => Key::Unset,
            Self::Integer(value) => Key::Integer(value),
            Self::Real(value) => Key::Real(value),
            Self::Text(text) => Key::Text(Cow::Owned(text.into_owned())),
        }
    }
}

impl Ord for Key<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Unset, Self::Unset) => Ordering::Equal,
            (Self::Unset, _) => Ordering::Less,
            (_, Self::Unset) => Ordering::Greater,
            (Self::Integer(left), Self::Integer(right)) => left.cmp(right),
            (Self::Integer(left), Self::Real(right)) => (*left as f64).total_cmp(right),
            (Self::Real(left), Self::Integer(right)) => left.total_cmp(&(*right as f64)),
            (Self::Real(left), Self::Real(right)) => left.total_cmp(right),
            (Self::Text(left), Self::Text(right)) => left.as_bytes().cmp(right.as_bytes()),
            (Self::Text(_), _) => Ordering::Greater,
            (_, Self::Text(_)) => Ordering::Less,
        }
    }
}

impl PartialOrd for Key<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Key<'_> {}

/// Whether the condition holds for a document; `None` is SQL's unknown, which does not hold either.
pub(super) fn holds(condition: &Condition, id: &str, body: &Json) -> Option<bool> {
    match condition {
        Condition::All(parts) => fold(parts.iter().map(|part| holds(part, id, body)), false),
        Condition::Any(parts) => fold(parts.iter().map(|part| holds(part, id, body)), true),
        Condition::Not(part) => holds(part, id, body).map(|held| !held),
        Condition::Compare { path, op, value } => compare(&Key::at(*path, id, body), *op, value),
        Condition::In { path, values } => {
            let key = Key::at(*path, id, body);
            fold(values.iter().map(|value| compare(&key, Op::Equal, value)), true)
        }
        Condition::IsNull(path) => Some(Key::at(*path, id, body).is_unset()),
    }
}

/// `deciding` as soon as one part is it; unknown when none is and one is unknown.
fn fold(parts: impl Iterator<Item = Option<bool>>, deciding: bool) -> Option<bool> {
    let mut outcome = Some(!deciding);
    for part in parts {
        if part == Some(deciding) {
            return part;
        }
        if part.is_none() {
            outcome = None;
        }
    }
    outcome
}

fn compare(key: &Key<'_>, op: Op, value: &Value) -> Option<bool> {
    let value = Key::of(value);
    if key.is_unset() || value.is_unset() {
        return None;
    }
    let order = key.cmp(&value);
    Some(match op {
        Op::Equal => order.is_eq(),
        Op::NotEqual => order.is_ne(),
        Op::Less => order.is_lt(),
        Op::LessOrEqual => order.is_le(),
        Op::Greater => order.is_gt(),
        Op::GreaterOrEqual => order.is_ge(),
    })
}

/// The matching ones of some documents, sorted and cut off as the select says.
pub(super) fn select<'a, T>(
    select: &Select,
    documents: impl Iterator<Item = (&'a str, &'a Json, T)>,
) -> impl Iterator<Item = T> {
    let mut found: Vec<(Vec<Key<'a>>, T)> = documents
        .filter(|(id, body, _)| holds(&select.condition, id, body) == Some(true))
        .map(|(id, body, item)| (select.sort.iter().map(|sort| Key::at(sort.path, id, body)).collect(), item))
        .collect();
    found.sort_by(|(left, _), (right, _)| order(&select.sort, left, right));
    found.truncate(select.limit as usize);
    found.into_iter().map(|(_, item)| item)
}

fn order(sort: &[Sort], left: &[Key<'_>], right: &[Key<'_>]) -> Ordering {
    sort.iter()
        .zip(left.iter().zip(right))
        .map(|(sort, (left, right))| match sort.direction {
            Direction::Ascending => left.cmp(right),
            Direction::Descending => right.cmp(left),
        })
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}
