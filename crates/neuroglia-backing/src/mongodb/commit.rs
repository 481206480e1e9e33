//! A batch: one transaction, or one operation where that is all of it.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use mongodb::bson::{Bson, Document, doc};
use mongodb::{ClientSession, Database};
use neuroglia::clock::Timestamp;
use neuroglia::data::{Batch, Change, Completion, OutboxMessage, Write, check_name};
use neuroglia::error::{Error, Result, VersionConflict};
use neuroglia::id::Ids;
use neuroglia::work::{Finish, NewWork, lost};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use super::connection::Connection;
use super::error::{duplicate, unknown_outcome};
use super::fields::{Fields, after, literal};
use super::json::{BODY, NULLS, Stored, stored};
use super::numbers::Numbers;
use super::schema::{KEYS, OUTBOX, WORK};
use super::transaction::{ATTEMPTS_MAX, Refusal, Transacted, transact};
use super::{ENGINE, outbox, work};
use crate::step::{StepFuture, own_step};
use crate::to_the_end::ToTheEnd;

type StepFunction = dyn for<'c> FnOnce(&'c Database, &'c mut ClientSession) -> StepFuture<'c> + Send + Sync;

/// The application's own operations in a batch; made by [`step`].
pub struct MongoStep(Box<StepFunction>);

impl fmt::Debug for MongoStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MongoStep")
    }
}

/// Operations of the application's own, run in the batch's transaction, after everything else; an error takes the
/// whole batch back.
///
/// Each operation must be given the session, or it is no part of the transaction. What the batch writes is locked
/// meanwhile, so a step waits for nothing but its operations. A batch with a step that others get in the way of is not
/// tried again by the engine; it is [`ErrorKind::Unavailable`](neuroglia::error::ErrorKind::Unavailable), and nothing
/// of it was kept.
///
/// ```
/// use neuroglia::data::UnitOfWork;
/// use neuroglia::error::Result;
/// use neuroglia_backing::mongodb::{self, driver};
///
/// fn count_sale(work: &UnitOfWork, pizza: String) -> Result<()> {
///     let step = mongodb::step(move |database, session| {
///         Box::pin(async move {
///             let sales = database.collection::<driver::bson::Document>("sales");
///             let one_more = driver::bson::doc! { "$inc": { "sold": 1 } };
///             let sale = sales.update_one(driver::bson::doc! { "_id": pizza }, one_more).upsert(true);
///             sale.session(session).await.map_err(mongodb::error)?;
///             Ok(())
///         })
///     });
///     work.native(mongodb::ENGINE, step)
/// }
/// ```
pub fn step<F>(step: F) -> MongoStep
where
    F: for<'c> FnOnce(&'c Database, &'c mut ClientSession) -> StepFuture<'c> + Send + Sync + 'static,
{
    MongoStep(Box::new(step))
}

/// A batch that this engine can carry out.
pub(super) struct Prepared {
    at: Timestamp,
    writes: Vec<(Write, Option<Stored>)>,
    outbox: Vec<OutboxMessage>,
    work: Vec<NewWork>,
    finish: Option<Finish>,
    completion: Option<Completion>,
    steps: Vec<MongoStep>,
}

impl Prepared {
    /// Refuses what this engine cannot do, before anything is done.
    pub(super) fn new(batch: Batch) -> Result<Self> {
        let Batch { at, writes, outbox, work, finish, completion, native } = batch;
        let prepare = |write: Write| {
            check_name(write.collection)?;
            let body = match &write.change {
                Change::Insert { body } | Change::Update { body, .. } => Some(stored(body)?),
                Change::Delete { .. } => None,
            };
            Ok((write, body))
        };
        let writes = writes.into_iter().map(prepare).collect::<Result<_>>()?;
        let steps = native.into_iter().map(|step| own_step(ENGINE, "step", step)).collect::<Result<_>>()?;
        Ok(Self { at, writes, outbox, work, finish, completion, steps })
    }

    /// Carries it out to its end, also when the caller goes away.
    pub(super) async fn commit(self, connection: &Arc<Connection>) -> Result<()> {
        if self.operations() == 0 && self.steps.is_empty() {
            return connection.is_closed();
        }
        let connection = Arc::clone(connection);
        ToTheEnd::of(self.commit_here(connection).in_current_span()).await
    }

    /// How many documents it changes.
    fn operations(&self) -> usize {
        let ends = usize::from(self.finish.is_some()) + usize::from(self.completion.is_some());
        self.writes.len() + self.outbox.len() + self.work.len() + ends
    }

    async fn commit_here(mut self, connection: Arc<Connection>) -> Result<()> {
        for (write, _) in &self.writes {
            connection.known(write.collection).await?;
        }
        let mut stored = StoredRows::default();
        if !self.outbox.is_empty() || !self.work.is_empty() {
            let mut numbers = Numbers::take(&connection, self.outbox.len() + self.work.len()).await?;
            let note = Ids::random().next_uuid();
            stored.outbox =
                self.outbox.iter().map(|message| outbox::document(message, &mut numbers, note)).collect();
            stored.work = self.work.iter().map(|work| work::document(work, &mut numbers, note)).collect();
        }
        if self.operations() == 1 && self.steps.is_empty() {
            return self.commit_alone(&connection, &stored).await;
        }
        // Steps run once, so a batch that has some is not begun again.
        let attempts_max = if self.steps.is_empty() { ATTEMPTS_MAX } else { 1 };
        let steps = std::mem::take(&mut self.steps);
        transact(
            &connection,
            attempts_max,
            // Whoever has one attempt looks at once who was there before.
            Whole { batch: &self, looks: !steps.is_empty(), steps, connection: &connection, stored: &stored },
        )
        .await
    }

    /// One operation on one document is as good as a transaction.
    async fn commit_alone(&self, connection: &Connection, stored: &StoredRows) -> Result<()> {
        let _place = connection.place().await?;
        connection.is_closed()?;
        let deadline = Instant::now() + connection.settings().operation_timeout;
        for attempt in 1.. {
            match timeout_at(deadline, self.run(connection, None, stored, attempt > 1)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(Refusal::Final(error))) => return Err(error),
                Ok(Err(Refusal::Lost(cause))) => return Err(unknown_outcome(super::error(cause))),
                Ok(Err(Refusal::Collision(cause))) if attempt == ATTEMPTS_MAX => {
                    return Err(super::error(cause));
                }
                Ok(Err(Refusal::Collision(_))) => {}
                Err(late) => return Err(unknown_outcome(late)),
            }
        }
        Ok(())
    }

    async fn run(
        &self,
        connection: &Connection,
        mut session: Option<&mut ClientSession>,
        stored: &StoredRows,
        looks: bool,
    ) -> Result<(), Refusal> {
        for (write, body) in &self.writes {
            self.write(connection, session.as_deref_mut(), write, body.as_ref(), looks).await?;
        }
        if !stored.outbox.is_empty() {
            insert(connection, session.as_deref_mut(), OUTBOX, &stored.outbox).await?;
        }
        // Others write to what ends, and wait for whoever has written it, so it is written last; unless it may have a key
        // that it must give up before new work gets it.
        if looks {
            self.end(connection, session.as_deref_mut()).await?;
        }
        if !stored.work.is_empty() {
            insert_work(connection, session.as_deref_mut(), &stored.work, looks).await?;
        }
        if !looks {
            self.end(connection, session.as_deref_mut()).await?;
        }
        if let Some(kept) = &self.completion {
            complete(connection, session, kept).await?;
        }
        Ok(())
    }

    /// Ends the piece of work that the batch is the outcome of, if it is one.
    async fn end(&self, connection: &Connection, session: Option<&mut ClientSession>) -> Result<(), Refusal> {
        let Some(end) = &self.finish else { return Ok(()) };
        let collection = connection.collection(WORK);
        let finish = work::finish(end, Ids::random().next_uuid());
        let mut update = collection.update_one(work::held(end.ticket), finish);
        if let Some(session) = session {
            update = update.session(session);
        }
        if update.await?.matched_count == 1 { Ok(()) } else { Err(lost(end.ticket).into()) }
    }

    async fn write(
        &self,
        connection: &Connection,
        mut session: Option<&mut ClientSession>,
        write: &Write,
        body: Option<&Stored>,
        looks: bool,
    ) -> Result<(), Refusal> {
        let Write { collection: name, id, change } = write;
        let collection = connection.collection(name);
        let conflict = |actual| {
            Error::version_conflict(VersionConflict {
                collection: (*name).into(),
                id: id.clone(),
                expected: change.expected(),
                actual,
            })
        };
        let at = self.at.unix_micros();
        let changed = match (change.expected(), body) {
            (None, Some(body)) => {
                let mut document = doc! { "_id": id, "version": 0_i64, "created_at": at, "updated_at": at, BODY: body.body.clone() };
                if !body.nulls.is_empty() {
                    document.insert(NULLS, body.nulls.clone());
                }
                let mut insert = collection.insert_one(document);
                if let Some(session) = session {
                    insert = insert.session(session);
                }
                let Err(cause) = insert.await else { return Ok(()) };
                if duplicate(&cause).is_none_or(|(_, index)| index != "_id_") {
                    return Err(cause.into());
                }
                // The transaction is over; what others have committed tells whose it is.
                return Err(match version(&collection, None, id).await? {
                    None if !looks => Refusal::Collision(cause),
                    found => conflict(found.or(Some(0))).into(),
                });
            }
            (Some(expected), Some(body)) => {
                let mut set =
                    doc! { "version": expected.cast_signed() + 1, "updated_at": at, BODY: body.body.clone() };
                let mut update = Document::new();
                if body.nulls.is_empty() {
                    update.insert("$unset", doc! { NULLS: "" });
                } else {
                    set.insert(NULLS, body.nulls.clone());
                }
                update.insert("$set", set);
                let mut update = collection.update_one(at_version(id, expected), update);
                if let Some(session) = session.as_deref_mut() {
                    update = update.session(session);
                }
                update.await?.matched_count
            }
            (expected, None) => {
                let mut delete = collection.delete_one(at_version(id, expected.unwrap_or_default()));
                if let Some(session) = session.as_deref_mut() {
                    delete = delete.session(session);
                }
                delete.await?.deleted_count
            }
        };
        if changed == 1 {
            return Ok(());
        }
        Err(conflict(version(&collection, session, id).await?).into())
    }
}

/// A batch that takes a transaction.
struct Whole<'b> {
    batch: &'b Prepared,
    /// Whether somebody may have been there before, as an attempt has shown.
    looks: bool,
    steps: Vec<MongoStep>,
    connection: &'b Connection,
    stored: &'b StoredRows,
}

impl Transacted for Whole<'_> {
    type Output = ();

    async fn attempt(&mut self, session: &mut ClientSession, _: u32) -> Result<(), Refusal> {
        let run = self.batch.run(self.connection, Some(&mut *session), self.stored, self.looks);
        let outcome = run.await;
        if let Err(Refusal::Collision(cause)) = &outcome {
            self.looks |= duplicate(cause).is_some();
        }
        outcome?;
        for MongoStep(step) in self.steps.drain(..) {
            step(self.connection.database(), session).await?;
        }
        Ok(())
    }
}

/// What a batch stores in the framework's own collections.
#[derive(Default)]
struct StoredRows {
    outbox: Vec<Document>,
    work: Vec<Document>,
}

fn at_version(id: &str, expected: u64) -> Document {
    doc! { "_id": id, "version": expected.cast_signed() }
}

async fn version(
    collection: &mongodb::Collection<Document>,
    session: Option<&mut ClientSession>,
    id: &str,
) -> Result<Option<u64>, Refusal> {
    let mut find = collection.find_one(doc! { "_id": id }).projection(doc! { "version": 1 });
    if let Some(session) = session {
        find = find.session(session);
    }
    let found = find.await?.map(|found| found.whole("version")).transpose()?;
    Ok(found.map(i64::cast_unsigned))
}

async fn insert(
    connection: &Connection,
    session: Option<&mut ClientSession>,
    collection: &str,
    documents: &[Document],
) -> Result<(), mongodb::error::Error> {
    let collection = connection.collection(collection);
    if let [only] = documents {
        // Most commits tell of one event, and the driver makes less of one document than of a list of them.
        let mut insert = collection.insert_one(only);
        if let Some(session) = session {
            insert = insert.session(session);
        }
        return insert.await.map(drop);
    }
    let mut insert = collection.insert_many(documents);
    if let Some(session) = session {
        insert = insert.session(session);
    }
    insert.await.map(drop)
}

/// Stores pieces of work, but for those that are there, or whose keys others hold.
///
/// An insert that is refused takes the whole transaction along. So the first attempt trusts that nobody was there
/// before, and the next ones look when somebody was.
pub(super) async fn insert_work(
    connection: &Connection,
    mut session: Option<&mut ClientSession>,
    documents: &[Document],
    looks: bool,
) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    let mut wanted: Vec<_> = documents
        .iter()
        .filter(|document| marks(document).all(|mark| seen.insert(mark.to_string())))
        .collect();
    if looks {
        let all: Vec<_> = wanted.iter().flat_map(|document| marks(document)).collect();
        let (ids, keys): (Vec<_>, Vec<_>) = all.into_iter().partition(|mark| matches!(mark, Bson::Binary(_)));
        let keys = keys.into_iter().filter_map(|key| key.as_document().cloned());
        let keys =
            keys.map(|key| doc! { "holds.kind": value(&key, "kind"), "holds.key": value(&key, "key") });
        let any: Vec<_> = [doc! { "_id": { "$in": ids } }].into_iter().chain(keys).collect();
        let collection = connection.collection(WORK);
        let there = collection.find(doc! { "$or": any }).projection(doc! { "holds": 1 });
        let mut taken = HashSet::new();
        let mut note = |document: &Document| taken.extend(marks(document).map(|mark| mark.to_string()));
        match session.as_deref_mut() {
            Some(session) => {
                let mut cursor = there.session(&mut *session).await?;
                while let Some(found) = cursor.next(session).await {
                    note(&found?);
                }
            }
            None => {
                let mut cursor = there.await?;
                while cursor.advance().await? {
                    note(&cursor.deserialize_current()?);
                }
            }
        }
        wanted.retain(|document| !marks(document).any(|mark| taken.contains(&mark.to_string())));
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let wanted: Vec<_> = wanted.into_iter().cloned().collect();
    insert(connection, session, WORK, &wanted).await.map_err(|cause| match duplicate(&cause) {
        Some((collection, _)) if collection == WORK => Refusal::Collision(cause),
        _ => cause.into(),
    })
}

/// What must not be there twice: the id, and the key that it holds.
fn marks(document: &Document) -> impl Iterator<Item = Bson> {
    [document.get("_id").cloned(), document.get("holds").cloned()].into_iter().flatten()
}

fn value(document: &Document, field: &str) -> Bson {
    document.get(field).cloned().unwrap_or(Bson::Null)
}

async fn complete(
    connection: &Connection,
    session: Option<&mut ClientSession>,
    kept: &Completion,
) -> Result<(), Refusal> {
    let held = doc! { "_id": &kept.key, "token": &kept.token, "response": { "$exists": false } };
    let answer = vec![doc! { "$set": {
        "response": literal(kept.response.as_str()),
        "expires_at": after(kept.keep),
    } }];
    let keys = connection.collection(KEYS);
    let mut update = keys.update_one(held, answer);
    if let Some(session) = session {
        update = update.session(session);
    }
    if update.await?.matched_count == 1 { Ok(()) } else { Err(kept.lost().into()) }
}
