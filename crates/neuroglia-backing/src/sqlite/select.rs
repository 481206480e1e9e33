//! From a [`Select`] to SQL with parameters.
//!
//! Names come from checked declarations and become text, so that they match the expressions of the declared
//! indexes; values become parameters, without exception.

use neuroglia::data::{Condition, Direction, Path, Select, Value};
use neuroglia::error::Result;
use sqlx::Sqlite;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;

/// A statement and its parameters, in order.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

pub(super) fn documents(select: &Select) -> Result<Compiled> {
    let mut compiled = matching("SELECT id, version, created_at, updated_at, body", select)?;
    let Compiled { sql, values } = &mut compiled;
    for (position, sort) in select.sort.iter().enumerate() {
        sql.push_str(if position == 0 { " ORDER BY " } else { ", " });
        sql.push_str(&field(sort.path));
        // NULL comes first in SQLite's ascending order and last in its descending one, as the port says.
        sql.push_str(match sort.direction {
            Direction::Ascending => " ASC",
            Direction::Descending => " DESC",
        });
    }
    sql.push_str(" LIMIT ?");
    values.push(Value::Integer(i64::from(select.limit)));
    Ok(compiled)
}

pub(super) fn count(select: &Select) -> Result<Compiled> {
    matching("SELECT count(*)", select)
}

fn matching(what: &str, select: &Select) -> Result<Compiled> {
    select.check()?;
    let mut compiled =
        Compiled { sql: format!("{what} FROM \"{}\" WHERE ", select.collection), values: Vec::new() };
    compiled.condition(&select.condition);
    Ok(compiled)
}

/// The expression of a field; declared indexes are over the very same.
pub(super) fn field(path: Path) -> String {
    match path {
        Path::Id => "id".to_owned(),
        Path::Body(path) => format!("json_extract(body, '$.{path}')"),
    }
}

impl Compiled {
    fn condition(&mut self, condition: &Condition) {
        match condition {
            Condition::All(parts) => self.parts(parts, " AND ", "TRUE"),
            Condition::Any(parts) => self.parts(parts, " OR ", "FALSE"),
            Condition::Not(part) => {
                self.sql.push_str("NOT (");
                self.condition(part);
                self.sql.push(')');
            }
            Condition::Compare { path, op, value } => {
                self.sql.push_str(&field(*path));
                self.sql.push(' ');
                self.sql.push_str(op.sign());
                self.sql.push(' ');
                self.value(value);
            }
            Condition::In { path, values } => {
                self.sql.push_str(&field(*path));
                self.sql.push_str(" IN (");
                for (position, value) in values.iter().enumerate() {
                    if position > 0 {
                        self.sql.push_str(", ");
                    }
                    self.value(value);
                }
                self.sql.push(')');
            }
            Condition::IsNull(path) => {
                self.sql.push_str(&field(*path));
                self.sql.push_str(" IS NULL");
            }
        }
    }

    fn parts(&mut self, parts: &[Condition], between: &str, none: &str) {
        match parts {
            [] => self.sql.push_str(none),
            [only] => self.condition(only),
            [first, rest @ ..] => {
                self.sql.push('(');
                self.condition(first);
                for part in rest {
                    self.sql.push_str(between);
                    self.condition(part);
                }
                self.sql.push(')');
            }
        }
    }

    fn value(&mut self, value: &Value) {
        self.values.push(value.clone());
        self.sql.push('?');
    }
}

pub(super) type Bound = Query<'static, Sqlite, SqliteArguments>;

pub(super) fn bind(query: Bound, values: &[Value]) -> Bound {
    values.iter().fold(query, |query, value| match value {
        Value::Null => query.bind(None::<i64>),
        Value::Bool(value) => query.bind(i64::from(*value)),
        Value::Integer(value) => query.bind(*value),
        Value::Text(value) => query.bind(value.clone()),
    })
}
