//! The store engine that keeps everything in this process and loses it with it.
//!
//! It answers exactly as the durable engines do, the conformance suite sees to that, so that tests and first
//! steps need no file. One lock guards everything and is never held over an `.await`; a batch that fails half
//! way is undone before the lock is given back.

mod cluster;
mod condition;
mod outbox;
mod work;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use self::cluster::Cluster;
use self::condition::Key;
use self::outbox::Outbox;
use self::work::WorkShelf;
use super::{
    AppliedMigration, Batch, Change, Completion, Document, Index, Migration, MigrationRun, Migrations,
    Reservation, Reserve, Select, Step, Store, Write,
};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Result, VersionConflict};
use crate::health::Details;

/// What [`Store::engine`] gives for this engine.
pub const ENGINE: &str = "memory";

/// A store in the memory of this process.
///
/// ```
/// use neuroglia_core::clock::Timestamp;
/// use neuroglia_core::data::memory::MemoryStore;
/// use neuroglia_core::data::{Batch, Change, Migration, Step, Store, Write};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = MemoryStore::new();
/// let orders = Migration { version: 1, name: "orders", steps: vec![Step::CreateCollection("orders")] };
/// store.migrate(&[orders], Timestamp::UNIX_EPOCH).await?;
///
/// let change = Change::Insert { body: r#"{"total":12}"#.to_owned() };
/// let write = Write { collection: "orders", id: "o-1".to_owned(), change };
/// store.commit(Batch { writes: vec![write], ..Batch::default() }).await?;
/// assert_eq!(store.load("orders", "o-1").await?.map(|order| order.version), Some(0));
/// # Ok::<(), neuroglia_core::error::Error>(()) }).unwrap();
/// ```
pub struct MemoryStore {
    /// `None` after it was closed.
    state: Mutex<Option<State>>,
}

#[derive(Default)]
struct State {
    collections: HashMap<&'static str, Collection>,
    outbox: Outbox,
    work: WorkShelf,
    cluster: Cluster,
    /// The one clock of the store.
    clock: Clock,
    answers: HashMap<String, Answer>,
    applied: Vec<AppliedMigration>,
}

#[derive(Clone, Default)]
struct Collection {
    documents: BTreeMap<String, Kept>,
    unique: Vec<Unique>,
    /// Names of indexes that only speed up other engines.
    plain: Vec<&'static str>,
}

/// A document beside its parsed body.
#[derive(Clone)]
struct Kept {
    document: Document,
    body: serde_json::Value,
}

/// A unique index: whose document has which values.
#[derive(Clone)]
struct Unique {
    name: &'static str,
    paths: Vec<&'static str>,
    owners: BTreeMap<Vec<Key<'static>>, String>,
}

/// An idempotency record.
#[derive(Clone)]
struct Answer {
    fingerprint: String,
    token: String,
    response: Option<String>,
    expires_at: Timestamp,
}

impl Default for MemoryStore {
    /// An open store with nothing in it.
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store, without collections.
    pub fn new() -> Self {
        Self::with_clock(Clock::default())
    }

    /// An empty store whose time is that of this clock.
    pub fn with_clock(clock: Clock) -> Self {
        let mut state = State { clock, ..State::default() };
        for step in Step::of_kept_entries() {
            state.apply(&step).expect("a new store has nothing that could be in the way");
        }
        Self { state: Mutex::new(Some(state)) }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state: MutexGuard<'_, _> = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        work(state.as_mut().ok_or_else(|| Error::unavailable("the store was closed"))?)
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    fn is_ephemeral(&self) -> bool {
        true
    }

    async fn load(&self, collection: &'static str, id: &str) -> Result<Option<Document>> {
        self.with(|state| {
            Ok(state.collection(collection)?.documents.get(id).map(|kept| kept.document.clone()))
        })
    }

    async fn query(&self, select: &Select) -> Result<Vec<Document>> {
        select.check()?;
        self.with(|state| {
            let documents = state.collection(select.collection)?.documents.iter();
            let documents = documents.map(|(id, kept)| (id.as_str(), &kept.body, &kept.document));
            Ok(condition::select(select, documents).cloned().collect())
        })
    }

    async fn count(&self, select: &Select) -> Result<u64> {
        select.check()?;
        self.with(|state| {
            let documents = state.collection(select.collection)?.documents.iter();
            let holds = |id: &str, body| condition::holds(&select.condition, id, body) == Some(true);
            Ok(documents.filter(|(id, kept)| holds(id, &kept.body)).count() as u64)
        })
    }

    async fn commit(&self, batch: Batch) -> Result<()> {
        self.with(|state| state.commit(batch))
    }

    async fn reserve(&self, reserve: &Reserve) -> Result<Reservation> {
        self.with(|state| {
            let now = state.clock.now();
            if let Some(answer) = state.answers.get(&reserve.key)
                && answer.expires_at > now
            {
                let fingerprint = answer.fingerprint.clone();
                return Ok(match answer.response.clone() {
                    Some(response) => Reservation::Done { fingerprint, response },
                    None => Reservation::Running { fingerprint },
                });
            }
            let taken = Answer {
                fingerprint: reserve.fingerprint.clone(),
                token: reserve.token.clone(),
                response: None,
                expires_at: now + reserve.hold,
            };
            state.answers.insert(reserve.key.clone(), taken);
            Ok(Reservation::Taken)
        })
    }

    async fn release(&self, key: &str, token: &str) -> Result<()> {
        self.with(|state| {
            if state.answers.get(key).is_some_and(|answer| answer.is_held_by(token)) {
                state.answers.remove(key);
            }
            Ok(())
        })
    }

    async fn purge_expired(&self, limit: u32) -> Result<u64> {
        self.with(|state| {
            let (before, now) = (state.answers.len(), state.clock.now());
            let mut left = limit;
            state.answers.retain(|_, answer| {
                let is_over = answer.expires_at <= now && left > 0;
                left -= u32::from(is_over);
                !is_over
            });
            Ok((before - state.answers.len()) as u64)
        })
    }

    async fn applied_migrations(&self) -> Result<Vec<AppliedMigration>> {
        self.with(|state| Ok(state.applied.clone()))
    }

    async fn migrate(&self, migrations: &[Migration], now: Timestamp) -> Result<MigrationRun> {
        Migrations::validate(migrations)?;
        self.with(|state| {
            let mut run = MigrationRun::default();
            for migration in migrations {
                if migration.is_applied(&state.applied)? {
                    continue;
                }
                let before = state.collections.clone();
                if let Err(error) = migration.steps.iter().try_for_each(|step| state.apply(step)) {
                    state.collections = before;
                    return Err(migration.failed(error));
                }
                state.applied.push(AppliedMigration {
                    version: migration.version,
                    name: migration.name.to_owned(),
                    checksum: migration.checksum(),
                    applied_at: now,
                });
                state.applied.sort_by_key(|done| done.version);
                run.applied.push(migration.version);
            }
            Ok(run)
        })
    }

    async fn ping(&self) -> Result<Details> {
        self.with(|_| Ok(Details::new()))
    }

    async fn close(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl State {
    fn collection(&mut self, name: &str) -> Result<&mut Collection> {
        self.collections
            .get_mut(name)
            .ok_or_else(|| Error::internal(format!("there is no collection {name}; a migration creates it")))
    }

    fn commit(&mut self, batch: Batch) -> Result<()> {
        if let Some(native) = batch.native.first() {
            return Err(Error::internal(format!(
                "the batch has a step for the engine {}, and this one is {ENGINE}",
                native.engine
            )));
        }
        let mut undo = Vec::with_capacity(batch.writes.len());
        let outcome = batch
            .writes
            .into_iter()
            .try_for_each(|write| self.write(write, batch.at, &mut undo))
            .and_then(|()| batch.finish.as_ref().map_or(Ok(()), |finish| self.work.check(finish.ticket)))
            .and_then(|()| batch.completion.map_or(Ok(()), |completion| self.complete(completion)));
        if let Err(error) = outcome {
            for (collection, id, before) in undo.into_iter().rev() {
                // Each state on the way back is one that was valid on the way here.
                if let Some(collection) = self.collections.get_mut(collection) {
                    collection.put(&id, before);
                }
            }
            return Err(error);
        }
        // Nothing from here on can fail.
        let now = self.clock.now();
        self.outbox.extend(batch.outbox);
        if let Some(finish) = batch.finish {
            self.work.finish(finish, now);
        }
        for work in batch.work {
            self.work.add(work, now);
        }
        Ok(())
    }

    fn write(
        &mut self,
        Write { collection: name, id, change }: Write,
        at: Timestamp,
        undo: &mut Vec<(&'static str, String, Option<Kept>)>,
    ) -> Result<()> {
        let collection = self.collection(name)?;
        let before = collection.documents.get(&id);
        let (expected, actual) = (change.expected(), before.map(|kept| kept.document.version));
        if expected != actual {
            return Err(Error::version_conflict(VersionConflict {
                collection: name.into(),
                id,
                expected,
                actual,
            }));
        }
        let after = match change {
            Change::Delete { .. } => None,
            Change::Insert { body } | Change::Update { body, .. } => {
                let parsed = serde_json::from_str(&body).map_err(Error::internal)?;
                let document = Document {
                    id: id.clone(),
                    version: actual.map_or(0, |version| version + 1),
                    created_at: before.map_or(at, |kept| kept.document.created_at),
                    updated_at: at,
                    body,
                };
                Some(Kept { document, body: parsed })
            }
        };
        if let Some(after) = &after
            && let Some(unique) = collection.unique.iter().find(|unique| unique.forbids(&id, &after.body))
        {
            return Err(Error::duplicate(name, Index::short_name(name, unique.name)));
        }
        let before = collection.put(&id, after);
        undo.push((name, id, before));
        Ok(())
    }

    fn complete(&mut self, completion: Completion) -> Result<()> {
        match self.answers.get_mut(&completion.key) {
            Some(answer) if answer.is_held_by(&completion.token) => {
                answer.response = Some(completion.response);
                answer.expires_at = self.clock.now() + completion.keep;
                Ok(())
            }
            _ => Err(completion.lost()),
        }
    }

    fn apply(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::CreateCollection(name) => {
                if self.collections.contains_key(name) {
                    if step.may_be_done() {
                        return Ok(());
                    }
                    return Err(Error::internal(format!("there is a collection {name} already")));
                }
                self.collections.insert(name, Collection::default());
                Ok(())
            }
            Step::CreateIndex(index) => {
                if self.collections.values().any(|collection| collection.has_index(index.name)) {
                    if step.may_be_done() {
                        return Ok(());
                    }
                    return Err(Error::internal(format!("there is an index {} already", index.name)));
                }
                self.collection(index.collection)?.add_index(index)
            }
            Step::DropIndex(name) => {
                if self.collections.values_mut().any(|collection| collection.drop_index(name)) {
                    Ok(())
                } else {
                    Err(Error::internal(format!("there is no index {name}")))
                }
            }
            Step::Sql { .. } => Ok(()),
        }
    }
}

impl Collection {
    /// Sets or removes a document and gives the one that was there.
    fn put(&mut self, id: &str, kept: Option<Kept>) -> Option<Kept> {
        let before = self.documents.remove(id);
        for unique in &mut self.unique {
            if let Some(values) = before.as_ref().and_then(|kept| unique.values(&kept.body)) {
                unique.owners.remove(&values);
            }
            if let Some(values) = kept.as_ref().and_then(|kept| unique.values(&kept.body)) {
                unique.owners.insert(values, id.to_owned());
            }
        }
        if let Some(kept) = kept {
            self.documents.insert(id.to_owned(), kept);
        }
        before
    }

    fn has_index(&self, name: &str) -> bool {
        self.plain.contains(&name) || self.unique.iter().any(|unique| unique.name == name)
    }

    fn add_index(&mut self, index: &Index) -> Result<()> {
        if !index.unique {
            self.plain.push(index.name);
            return Ok(());
        }
        let mut unique = Unique { name: index.name, paths: index.paths.clone(), owners: BTreeMap::new() };
        for (id, kept) in &self.documents {
            if unique.forbids(id, &kept.body) {
                return Err(Error::duplicate(
                    index.collection,
                    Index::short_name(index.collection, index.name),
                ));
            }
            if let Some(values) = unique.values(&kept.body) {
                unique.owners.insert(values, id.clone());
            }
        }
        self.unique.push(unique);
        Ok(())
    }

    fn drop_index(&mut self, name: &str) -> bool {
        let had = self.has_index(name);
        self.plain.retain(|plain| *plain != name);
        self.unique.retain(|unique| unique.name != name);
        had
    }
}

impl Unique {
    /// The document's values; `None` when one is unset, because unset fields never collide.
    fn values(&self, body: &serde_json::Value) -> Option<Vec<Key<'static>>> {
        let value =
            |path: &&str| Some(Key::in_body(path, body)).filter(|key| !key.is_unset()).map(Key::into_owned);
        self.paths.iter().map(value).collect()
    }

    fn forbids(&self, id: &str, body: &serde_json::Value) -> bool {
        self.values(body).and_then(|values| self.owners.get(&values)).is_some_and(|owner| owner != id)
    }
}

impl Answer {
    fn is_held_by(&self, token: &str) -> bool {
        self.response.is_none() && self.token == token
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}
