//! A batch as one statement.
//!
//! Its text depends only on the collections and on what happens in each, so that the driver and the server know
//! it from the second time on; what is written goes over as arrays. Each part counts what it did, and the last
//! one raises when that is not what was asked.
//!
//! Several batches can be one statement as well. Then it waits for no document that another transaction has locked, and
//! for nothing else longer than [`PATIENCE`], but raises: a batch must not be held up by what another one of them meets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use neuroglia::data::{Change, Completion, OutboxMessage, Write};
use neuroglia::work::{Finish, NewWork};
use sqlx::{AssertSqlSafe, PgConnection};

use super::commit::Prepared;
use super::outbox::micros;
use super::select::Bound;
use super::work;

/// How long several batches together wait for a lock.
pub(super) const PATIENCE: Duration = Duration::from_millis(20);

/// What the framework's function raises with.
pub(super) const CONFLICT: &str = "NG001";

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Insert,
    Update,
    Delete,
}

impl Kind {
    /// How many parameters a part of this kind binds.
    const fn parameters(self) -> usize {
        match self {
            Self::Insert => 3,
            Self::Update => 4,
            Self::Delete => 2,
        }
    }
}

/// The writes of one collection, all of one kind, each of another document.
struct Part<'a> {
    collection: &'static str,
    kind: Kind,
    ids: Vec<&'a str>,
    times: Vec<i64>,
    expected: Vec<i64>,
    bodies: Vec<&'a str>,
}

/// Batches that one statement can carry out.
pub(super) struct Whole<'a> {
    parts: Vec<Part<'a>>,
    outbox: Vec<&'a OutboxMessage>,
    work: Vec<&'a NewWork>,
    finishes: Vec<&'a Finish>,
    completions: Vec<&'a Completion>,
    waits: bool,
}

/// All that the text of a statement depends on.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Shape {
    parts: Vec<(&'static str, Kind)>,
    outbox: bool,
    work: bool,
    finishes: bool,
    completions: bool,
    waits: bool,
}

/// The texts of the shapes that were met, so that each is written once. An application has a few dozen.
#[derive(Default)]
pub(super) struct Texts(Mutex<HashMap<Shape, Arc<str>>>);

/// More shapes than this are not remembered.
const SHAPES_MAX: usize = 1_000;

impl Texts {
    fn of(&self, shape: Shape) -> Arc<str> {
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = texts.get(&shape) {
            return Arc::clone(text);
        }
        let text: Arc<str> = shape.text().into();
        if texts.len() < SHAPES_MAX {
            texts.insert(shape, Arc::clone(&text));
        }
        text
    }
}

impl<'a> Whole<'a> {
    /// Gives nothing when the order of the writes matters, which one statement does not keep.
    pub(super) fn of(batches: &'a [Prepared]) -> Option<Self> {
        // What ends gives its key back, so that it may ask for its own successor; one statement does not see that.
        let asks_for_itself =
            |batch: &Prepared| batch.finish.is_some() && batch.work.iter().any(|work| work.key.is_some());
        if batches.iter().any(asks_for_itself) {
            return None;
        }
        // In one order for all batches, so that they do not lock each other out, and so that those of one shape
        // have one text.
        let writes = |batch: &'a Prepared| batch.writes.iter().map(|write| (write, batch.at.unix_micros()));
        let mut sorted: Vec<_> = batches.iter().flat_map(writes).collect();
        sorted.sort_by_key(|(write, _)| (write.collection, write.id.as_str()));
        let is_same =
            |first: &Write, second: &Write| first.collection == second.collection && first.id == second.id;
        if sorted.windows(2).any(|pair| is_same(pair[0].0, pair[1].0)) {
            return None;
        }
        let mut parts: Vec<Part<'a>> = Vec::new();
        for (Write { collection, id, change }, at) in sorted {
            let kind = match change {
                Change::Insert { .. } => Kind::Insert,
                Change::Update { .. } => Kind::Update,
                Change::Delete { .. } => Kind::Delete,
            };
            let part = match parts.last_mut().filter(|part| part.collection == *collection) {
                Some(part) if part.kind == kind => part,
                Some(_) => return None,
                None => parts.push_mut(Part {
                    collection,
                    kind,
                    ids: Vec::new(),
                    times: Vec::new(),
                    expected: Vec::new(),
                    bodies: Vec::new(),
                }),
            };
            part.ids.push(id);
            part.times.push(at);
            part.expected.extend(change.expected().map(u64::cast_signed));
            if let Change::Insert { body } | Change::Update { body, .. } = change {
                part.bodies.push(body);
            }
        }
        Some(Self {
            parts,
            outbox: batches.iter().flat_map(|batch| &batch.outbox).collect(),
            work: batches.iter().flat_map(|batch| &batch.work).collect(),
            finishes: batches.iter().filter_map(|batch| batch.finish.as_ref()).collect(),
            completions: batches.iter().filter_map(|batch| batch.completion.as_ref()).collect(),
            waits: batches.len() == 1,
        })
    }

    fn shape(&self) -> Shape {
        Shape {
            parts: self.parts.iter().map(|part| (part.collection, part.kind)).collect(),
            outbox: !self.outbox.is_empty(),
            work: !self.work.is_empty(),
            finishes: !self.finishes.is_empty(),
            completions: !self.completions.is_empty(),
            waits: self.waits,
        }
    }

    /// Whether a unique value that is taken can only be taken by another batch.
    pub(super) fn is_one_write(&self) -> bool {
        matches!(&*self.parts, [part] if part.ids.len() == 1)
    }

    pub(super) async fn run(&self, connection: &mut PgConnection, texts: &Texts) -> sqlx::Result<()> {
        let mut query = sqlx::query(AssertSqlSafe(texts.of(self.shape())));
        let mut asked = 0_usize;
        for part in &self.parts {
            asked += part.ids.len();
            query = query.bind(part.ids.as_slice());
            query = match part.kind {
                Kind::Insert => query.bind(part.bodies.as_slice()).bind(part.times.as_slice()),
                Kind::Update => {
                    let query = query.bind(part.expected.as_slice());
                    query.bind(part.bodies.as_slice()).bind(part.times.as_slice())
                }
                Kind::Delete => query.bind(part.expected.as_slice()),
            };
        }
        if !self.outbox.is_empty() {
            query = bind_messages(query, &self.outbox);
        }
        if !self.work.is_empty() {
            query = work::bind_new(query, &self.work);
        }
        asked += self.finishes.len() + self.completions.len();
        if !self.finishes.is_empty() {
            query = work::bind_finish(query, &self.finishes);
        }
        if !self.completions.is_empty() {
            query = bind_completion(query, &self.completions);
        }
        let asked = i64::try_from(asked).map_err(|cause| sqlx::Error::Encode(cause.into()))?;
        query.bind(asked).execute(connection).await.map(|_| ())
    }
}

impl Shape {
    fn text(&self) -> String {
        let mut last = 0_usize;
        let mut parameters = |many: usize| {
            last += many;
            last - many + 1
        };
        let mut steps = Vec::new();
        let mut counted = Vec::new();
        for (place, (collection, kind)) in self.parts.iter().enumerate() {
            let first = parameters(kind.parameters());
            let ids = format!("${first}::text[]");
            let free = if self.waits || *kind == Kind::Insert {
                String::new()
            } else {
                steps.push(format!(
                    "l{place} AS (SELECT 1 FROM \"{collection}\" WHERE id = ANY({ids}) FOR UPDATE SKIP LOCKED)"
                ));
                format!(" AND (SELECT count(*) FROM l{place}) = cardinality({ids})")
            };
            let change = match kind {
                Kind::Insert => {
                    let (bodies, times) = (first + 1, first + 2);
                    format!(
                        "INSERT INTO \"{collection}\" (id, version, created_at, updated_at, body) \
                         SELECT t.id, 0, t.at, t.at, t.body::jsonb \
                         FROM unnest({ids}, ${bodies}::text[], ${times}::bigint[]) AS t (id, body, at) \
                         ON CONFLICT (id) DO NOTHING RETURNING 1"
                    )
                }
                Kind::Update => {
                    let (expected, bodies, times) = (first + 1, first + 2, first + 3);
                    format!(
                        "UPDATE \"{collection}\" AS d \
                         SET version = d.version + 1, updated_at = t.at, body = t.body::jsonb \
                         FROM unnest({ids}, ${expected}::bigint[], ${bodies}::text[], ${times}::bigint[]) \
                         AS t (id, expected, body, at) WHERE d.id = t.id AND d.version = t.expected{free} \
                         RETURNING 1"
                    )
                }
                Kind::Delete => {
                    let expected = first + 1;
                    format!(
                        "DELETE FROM \"{collection}\" AS d \
                         USING unnest({ids}, ${expected}::bigint[]) AS t (id, expected) \
                         WHERE d.id = t.id AND d.version = t.expected{free} RETURNING 1"
                    )
                }
            };
            steps.push(format!("w{place} AS ({change})"));
            counted.push(format!("(SELECT count(*) FROM w{place})"));
        }
        if self.outbox {
            let first = parameters(MESSAGE_PARAMETERS);
            steps.push("b AS MATERIALIZED (SELECT nextval('ng_outbox_batch') AS batch)".to_owned());
            steps.push(format!("o AS ({})", messages(first, "(SELECT batch FROM b)")));
        }
        if self.work {
            let first = parameters(work::NEW_PARAMETERS);
            steps.push(format!("j AS ({})", work::new(first, "true")));
        }
        if self.finishes {
            let first = parameters(work::FINISH_PARAMETERS);
            steps.push(format!("f AS ({} RETURNING 1)", work::finish(first)));
            counted.push("(SELECT count(*) FROM f)".to_owned());
        }
        if self.completions {
            let first = parameters(COMPLETION_PARAMETERS);
            steps.push(format!("c AS ({} RETURNING 1)", completion(first)));
            counted.push("(SELECT count(*) FROM c)".to_owned());
        }
        if counted.is_empty() {
            counted.push("0".to_owned());
        }
        // What is counted is done when it is asked for, and the cases are looked at in their order.
        let patience = if self.waits {
            String::new()
        } else {
            let patience = PATIENCE.as_millis();
            format!("WHEN set_config('lock_timeout', '{patience}', true) IS NULL THEN 0 ")
        };
        format!(
            "WITH {} SELECT CASE {patience}WHEN {} = ${}::bigint THEN 0 ELSE ng_conflict() END",
            steps.join(", "),
            counted.join(" + "),
            parameters(1)
        )
    }
}

const MESSAGE_PARAMETERS: usize = 8;

/// Inserts messages from arrays that begin with this parameter; in their order, because each looks for one before it.
pub(super) fn messages(first: usize, batch: &str) -> String {
    let types = ["uuid", "text", "bigint", "text", "text", "text", "text", "bigint"];
    let arrays: Vec<_> =
        types.iter().enumerate().map(|(place, kind)| format!("${}::{kind}[]", first + place)).collect();
    let columns = "id, name, version, subject, data, correlation_id, traceparent, at";
    format!(
        "INSERT INTO ng_outbox (batch, place, {columns}) SELECT {batch}, place, {columns} \
         FROM unnest({}) WITH ORDINALITY AS t ({columns}, place) ORDER BY place",
        arrays.join(", ")
    )
}

/// One column of what is to be stored, to be bound as an array.
pub(super) fn column<R, T>(rows: impl IntoIterator<Item = R>, of: impl Fn(R) -> T) -> Vec<T> {
    rows.into_iter().map(of).collect()
}

pub(super) fn bind_messages<'q>(query: Bound<'q>, messages: &[&OutboxMessage]) -> Bound<'q> {
    query
        .bind(column(messages, |message| message.id))
        .bind(column(messages, |message| message.name.as_str()))
        .bind(column(messages, |message| i64::from(message.version)))
        .bind(column(messages, |message| message.subject.as_str()))
        .bind(column(messages, |message| message.data.as_str()))
        .bind(column(messages, |message| message.correlation_id.as_deref()))
        .bind(column(messages, |message| message.traceparent.as_deref()))
        .bind(column(messages, |message| message.at.unix_micros()))
}

const COMPLETION_PARAMETERS: usize = 4;

/// Keeps answers, unless their keys are lost.
pub(super) fn completion(first: usize) -> String {
    let (key, token, response, keep) = (first, first + 1, first + 2, first + 3);
    format!(
        "UPDATE ng_idempotency k SET response = t.response, expires_at = ng_now() + t.keep \
         FROM unnest(${key}::text[], ${token}::text[], ${response}::text[], ${keep}::bigint[]) \
         AS t (key, token, response, keep) WHERE k.key = t.key AND k.token = t.token AND k.response IS NULL"
    )
}

pub(super) fn bind_completion<'q>(query: Bound<'q>, completions: &[&Completion]) -> Bound<'q> {
    query
        .bind(column(completions, |kept| kept.key.as_str()))
        .bind(column(completions, |kept| kept.token.as_str()))
        .bind(column(completions, |kept| kept.response.as_str()))
        .bind(column(completions, |kept| micros(kept.keep)))
}
