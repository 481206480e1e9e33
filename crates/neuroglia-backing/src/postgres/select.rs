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

pub(super) fn documents(select: &Select) -> Result<Compiled> {
    let mut compiled = matching(&format!("SELECT {}", super::DOCUMENT), select)?;
    let mut keys = Vec::with_capacity(select.sort.len() * 2);
    for sort in &select.sort {
        match (sort.path, sort.direction) {
            // An id is never NULL, and its index stands in PostgreSQL's own order.
            (Path::Id, Direction::Ascending) => keys.push("id ASC".to_owned()),
            (Path::Id, Direction::Descending) => keys.push("id DESC".to_owned()),
            (Path::Body(path), Direction::Ascending) => {
                keys.extend(Field::of(path).keys().map(|key| format!("{key} ASC NULLS FIRST")));
            }
            (Path::Body(path), Direction::Descending) => {
                keys.extend(Field::of(path).keys().map(|key| format!("{key} DESC NULLS LAST")));
            }
        }
    }
    if !keys.is_empty() {
        compiled.sql.push_str(" ORDER BY ");
        compiled.sql.push_str(&keys.join(", "));
    }
    let limit = compiled.parameter(Parameter::Integer(i64::from(select.limit)));
    compiled.sql.push_str(&format!(" LIMIT {limit}"));
    Ok(compiled)
}

pub(super) fn count(select: &Select) -> Result<Compiled> {
    matching("SELECT count(*)", select)
}

fn matching(what: &str, select: &Select) -> Result<Compiled> {
    select.check()?;
    let mut compiled = Compiled { sql: String::new(), values: Vec::new() };
    let condition = compiled.condition(&select.condition);
    compiled.sql = format!("{what} FROM \"{}\" WHERE {condition}", select.collection);
    Ok(compiled)
}

/// The two expressions of a field; declared indexes are over the very same.
pub(super) struct Field {
    /// The value, with `""` in the place of every text; NULL when the field is null or not there.
    pub(super) value: String,
    /// The text, compared by its bytes; empty for other values, NULL likewise.
    pub(super) text: String,
}

impl Field {
    pub(super) fn of(path: &str) -> Self {
        // Step by step, because `#>` would take a number in a path for a place in an array.
        let (mut json, mut text) = ("body".to_owned(), "body".to_owned());
        for part in path.split('.') {
            text = format!("{json} ->> '{part}'");
            json = format!("{json} -> '{part}'");
        }
        Self {
            value: format!(
                "(CASE WHEN jsonb_typeof({json}) = 'string' THEN '\"\"'::jsonb \
                 WHEN {json} <> 'null'::jsonb THEN {json} END)"
            ),
            text: format!(
                "(CASE WHEN jsonb_typeof({json}) = 'string' THEN {text} \
                 WHEN {json} <> 'null'::jsonb THEN '' END COLLATE \"C\")"
            ),
        }
    }

    pub(super) fn keys(self) -> [String; 2] {
        [self.value, self.text]
    }
}

impl Compiled {
    fn condition(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::All(parts) => self.parts(parts, " AND ", "TRUE"),
            Condition::Any(parts) => self.parts(parts, " OR ", "FALSE"),
            Condition::Not(part) => format!("NOT ({})", self.condition(part)),
            Condition::Compare { path, op, value } => self.comparison(*path, *op, value),
            Condition::In { path, values } => self.within(*path, values),
            Condition::IsNull(Path::Id) => "id IS NULL".to_owned(),
            Condition::IsNull(Path::Body(path)) => format!("{} IS NULL", Field::of(path).value),
        }
    }

    fn parts(&mut self, parts: &[Condition], between: &str, none: &str) -> String {
        match parts {
            [] => none.to_owned(),
            [only] => self.condition(only),
            several => {
                let several: Vec<_> = several.iter().map(|part| self.condition(part)).collect();
                format!("({})", several.join(between))
            }
        }
    }

    fn comparison(&mut self, path: Path, op: Op, value: &Value) -> String {
        let op = match op {
            Op::Equal => "=",
            Op::NotEqual => "<>",
            Op::Less => "<",
            Op::LessOrEqual => "<=",
            Op::Greater => ">",
            Op::GreaterOrEqual => ">=",
        };
        match (path, value) {
            (_, Value::Null) => "NULL::boolean".to_owned(),
            (Path::Id, value) => {
                let value = self.parameter(Parameter::Text(plain(value)));
                format!("id {op} {value}::text")
            }
            (Path::Body(path), Value::Text(text)) => {
                let Field { value, text: key } = Field::of(path);
                let text = self.parameter(Parameter::Text(text.clone()));
                format!("({value}, {key}) {op} ('\"\"'::jsonb, {text}::text)")
            }
            (Path::Body(path), value) => {
                let other = self.parameter(Parameter::Text(plain(value)));
                format!("{} {op} {other}::text::jsonb", Field::of(path).value)
            }
        }
    }

    fn within(&mut self, path: Path, values: &[Value]) -> String {
        let Path::Body(path) = path else {
            let ids = self.parameter(Parameter::Texts(values.iter().map(plain).collect()));
            return format!("id = ANY({ids}::text[])");
        };
        let (texts, others): (Vec<_>, Vec<_>) =
            values.iter().partition(|value| matches!(value, Value::Text(_)));
        let Field { value, text } = Field::of(path);
        let mut kinds = Vec::new();
        if !others.is_empty() {
            let others = self.parameter(Parameter::Texts(others.into_iter().map(plain).collect()));
            kinds.push(format!("{value} = ANY({others}::text[]::jsonb[])"));
        }
        if !texts.is_empty() {
            let texts = self.parameter(Parameter::Texts(texts.into_iter().map(plain).collect()));
            kinds.push(format!("({value} = '\"\"'::jsonb AND {text} = ANY({texts}::text[]))"));
        }
        if kinds.is_empty() { "FALSE".to_owned() } else { format!("({})", kinds.join(" OR ")) }
    }

    fn parameter(&mut self, value: Parameter) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
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
