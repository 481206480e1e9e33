//! From a [`Select`] to SQL with parameters.
//!
//! Names come from checked declarations and become text, so that they match the expressions of the declared
//! indexes; values become parameters, without exception. Lists are arrays, so that the text of a statement, by
//! which the server keeps its plan, does not depend on how long they are.

use neuroglia::data::{Condition, Direction, Op, Path, Select, Value};
use neuroglia::error::Result;
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;

/// A statement and its parameters, in order.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) sql: String,
    pub(super) values: Vec<Parameter>,
}

/// What becomes a parameter.
#[derive(Debug)]
pub(super) enum Parameter {
    Text(String),
    Texts(Vec<String>),
    Integer(i64),
}

/// A statement begins with room for so much text, so that it is not moved while it grows.
const TEXT_BYTES: usize = 1_024;

pub(super) fn documents(select: &Select) -> Result<Compiled> {
    let mut compiled = Compiled::begun();
    compiled.documents(select)?;
    Ok(compiled)
}

/// Several as one statement, whose rows begin with the place of the one that they belong to.
pub(super) fn several(selects: &[Select]) -> Result<Compiled> {
    let mut compiled = Compiled::begun();
    compiled.push("SELECT part, id, version, created_at, updated_at, body FROM (");
    for (part, select) in selects.iter().enumerate() {
        compiled.push(if part == 0 { "SELECT " } else { " UNION ALL SELECT " });
        compiled.push(&part.to_string());
        compiled.push(" AS part, row_number() OVER () AS place, d.* FROM (");
        compiled.documents(select)?;
        compiled.push(") AS d");
    }
    compiled.push(") AS p ORDER BY part, place");
    Ok(compiled)
}

pub(super) fn count(select: &Select) -> Result<Compiled> {
    let mut compiled = Compiled::begun();
    compiled.matching("count(*)", select)?;
    Ok(compiled)
}

/// The two expressions of a field, over which declared indexes are: its value, with `""` in the place of every text, and
/// its text, compared by its bytes, empty for other values. Both are NULL when the field is null or not there.
pub(super) fn keys(path: &str) -> [String; 2] {
    let (mut value, mut text) = (String::new(), String::new());
    push_value(&mut value, path);
    push_text(&mut text, path);
    [value, text]
}

/// The step from a JSON value to one within it, before its name.
const INTO: &str = " -> '";
/// The same to the text of it.
const INTO_TEXT: &str = " ->> '";

fn push_value(sql: &mut String, path: &str) {
    push_case(sql, path, |sql| sql.push_str("'\"\"'::jsonb"), |sql| push_path(sql, path, INTO));
    sql.push(')');
}

fn push_text(sql: &mut String, path: &str) {
    push_case(sql, path, |sql| push_path(sql, path, INTO_TEXT), |sql| sql.push_str("''"));
    sql.push_str(" COLLATE \"C\")");
}

/// One expression where the path leads to a text, another where it leads to anything else, and NULL where that is null or
/// not there. Its parenthesis stays open.
fn push_case(
    sql: &mut String,
    path: &str,
    of_text: impl FnOnce(&mut String),
    of_others: impl FnOnce(&mut String),
) {
    sql.push_str("(CASE WHEN jsonb_typeof(");
    push_path(sql, path, INTO);
    sql.push_str(") = 'string' THEN ");
    of_text(sql);
    sql.push_str(" WHEN ");
    push_path(sql, path, INTO);
    sql.push_str(" <> 'null'::jsonb THEN ");
    of_others(sql);
    sql.push_str(" END");
}

/// What lies at the path: step by step, because `#>` would take a number in a path for a place in an array.
fn push_path(sql: &mut String, path: &str, last_step: &str) {
    sql.push_str("body");
    let mut parts = path.split('.').peekable();
    while let Some(part) = parts.next() {
        sql.push_str(if parts.peek().is_none() { last_step } else { INTO });
        sql.push_str(part);
        sql.push('\'');
    }
}

impl Compiled {
    fn begun() -> Self {
        Self { sql: String::with_capacity(TEXT_BYTES), values: Vec::new() }
    }

    fn push(&mut self, text: &str) {
        self.sql.push_str(text);
    }

    /// Adds a query.
    fn documents(&mut self, select: &Select) -> Result<()> {
        self.matching(super::DOCUMENT, select)?;
        for (place, sort) in select.sort.iter().enumerate() {
            self.push(if place == 0 { " ORDER BY " } else { ", " });
            let nulls = match (sort.path, sort.direction) {
                // An id is never NULL, and its index stands in PostgreSQL's own order.
                (Path::Id, Direction::Ascending) => {
                    self.push("id ASC");
                    continue;
                }
                (Path::Id, Direction::Descending) => {
                    self.push("id DESC");
                    continue;
                }
                (Path::Body(_), Direction::Ascending) => " ASC NULLS FIRST",
                (Path::Body(_), Direction::Descending) => " DESC NULLS LAST",
            };
            if let Path::Body(path) = sort.path {
                push_value(&mut self.sql, path);
                self.push(nulls);
                self.push(", ");
                push_text(&mut self.sql, path);
                self.push(nulls);
            }
        }
        self.push(" LIMIT ");
        self.parameter(Parameter::Integer(i64::from(select.limit)));
        Ok(())
    }

    fn matching(&mut self, what: &str, select: &Select) -> Result<()> {
        select.check()?;
        self.push("SELECT ");
        self.push(what);
        self.push(" FROM \"");
        self.push(select.collection);
        self.push("\" WHERE ");
        self.condition(&select.condition);
        Ok(())
    }

    fn condition(&mut self, condition: &Condition) {
        match condition {
            Condition::All(parts) => self.parts(parts, " AND ", "TRUE"),
            Condition::Any(parts) => self.parts(parts, " OR ", "FALSE"),
            Condition::Not(part) => {
                self.push("NOT (");
                self.condition(part);
                self.push(")");
            }
            Condition::Compare { path, op, value } => self.comparison(*path, *op, value),
            Condition::In { path, values } => self.within(*path, values),
            Condition::IsNull(Path::Id) => self.push("id IS NULL"),
            Condition::IsNull(Path::Body(path)) => {
                push_value(&mut self.sql, path);
                self.push(" IS NULL");
            }
        }
    }

    fn parts(&mut self, parts: &[Condition], between: &str, none: &str) {
        match parts {
            [] => self.push(none),
            [only] => self.condition(only),
            [first, rest @ ..] => {
                self.push("(");
                self.condition(first);
                for part in rest {
                    self.push(between);
                    self.condition(part);
                }
                self.push(")");
            }
        }
    }

    fn comparison(&mut self, path: Path, op: Op, value: &Value) {
        match (path, value) {
            (_, Value::Null) => self.push("NULL::boolean"),
            (Path::Id, value) => {
                self.push("id ");
                self.push(op.sign());
                self.push(" ");
                self.parameter(Parameter::Text(plain(value)));
                self.push("::text");
            }
            (Path::Body(path), Value::Text(text)) => {
                self.push("(");
                push_value(&mut self.sql, path);
                self.push(", ");
                push_text(&mut self.sql, path);
                self.push(") ");
                self.push(op.sign());
                self.push(" ('\"\"'::jsonb, ");
                self.parameter(Parameter::Text(text.clone()));
                self.push("::text)");
            }
            (Path::Body(path), value) => {
                push_value(&mut self.sql, path);
                self.push(" ");
                self.push(op.sign());
                self.push(" ");
                self.parameter(Parameter::Text(plain(value)));
                self.push("::text::jsonb");
            }
        }
    }

    fn within(&mut self, path: Path, values: &[Value]) {
        let Path::Body(path) = path else {
            self.push("id = ANY(");
            self.parameter(Parameter::Texts(values.iter().map(plain).collect()));
            return self.push("::text[])");
        };
        let (texts, others): (Vec<_>, Vec<_>) =
            values.iter().partition(|value| matches!(value, Value::Text(_)));
        if values.is_empty() {
            return self.push("FALSE");
        }
        let has_both = !texts.is_empty() && !others.is_empty();
        self.push("(");
        if !others.is_empty() {
            push_value(&mut self.sql, path);
            self.push(" = ANY(");
            self.parameter(Parameter::Texts(others.into_iter().map(plain).collect()));
            self.push("::text[]::jsonb[])");
        }
        if has_both {
            self.push(" OR ");
        }
        if !texts.is_empty() {
            self.push("(");
            push_value(&mut self.sql, path);
            self.push(" = '\"\"'::jsonb AND ");
            push_text(&mut self.sql, path);
            self.push(" = ANY(");
            self.parameter(Parameter::Texts(texts.into_iter().map(plain).collect()));
            self.push("::text[]))");
        }
        self.push(")");
    }

    /// Adds a value, and its place to the text.
    fn parameter(&mut self, value: Parameter) {
        self.values.push(value);
        let place = self.values.len().to_string();
        self.push("$");
        self.push(&place);
    }
}

/// The value as text; a number and a truth value as JSON has them.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Text(value) => value.clone(),
    }
}

pub(super) type Bound<'q> = Query<'q, Postgres, PgArguments>;

pub(super) fn bind<'q>(query: Bound<'q>, values: &[Parameter]) -> Bound<'q> {
    values.iter().fold(query, |query, value| match value {
        Parameter::Text(value) => query.bind(value.as_str()),
        Parameter::Texts(values) => query.bind(values.as_slice()),
        Parameter::Integer(value) => query.bind(*value),
    })
}
