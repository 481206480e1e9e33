//! What one command changes: gathered while it runs, committed as one batch when it has succeeded.
//!
//! Nothing is open while a handler thinks. A cancelled handler leaves nothing behind, because nothing has left
//! the process; a conflict throws the gathered writes away and the pipeline runs the handler again.

mod extent;

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::extent::Running;
use super::store::{Batch, Change, Completion, Document, NativeStep, OutboxMessage, Store, Write};
use crate::clock::{Clock, Timestamp};
use crate::di::{Dependencies, Inject, Scope, Service, ServiceCollection};
use crate::domain::{Aggregate, AnyEvent, Root};
use crate::error::{Error, Result};
use crate::id::Ids;
use crate::identity::Correlation;
use crate::messaging::{EVENT_DATA_BYTES_MAX, Wake, check_subject};
use crate::work::{Finish, NewWork, Retry};

/// A document begins with room for so much, so that most are not moved while they are written.
const BODY_BYTES: usize = 1_024;

/// The scope's gathered changes.
///
/// Handlers reach it through [`Repository`](super::Repository); they take it as `Arc<UnitOfWork>` only to add
/// statements of their own with [`UnitOfWork::native`].
pub struct UnitOfWork {
    store: Arc<dyn Store>,
    clock: Clock,
    ids: Ids,
    correlation: Arc<Correlation>,
    wake: Option<Arc<Wake>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    gathered: Gathered,
    /// Grows with each change, so that a command's own changes show.
    changes: u64,
    running: Running,
    /// The commands that were answered from or kept for an idempotency key.
    keyed: u32,
}

#[derive(Default)]
struct Gathered {
    entries: Vec<Entry>,
    index: HashMap<(&'static str, String), usize>,
    events: Vec<RaisedBy>,
    outbox: Vec<OutboxMessage>,
    work: Vec<NewWork>,
    native: Vec<NativeStep>,
}

/// What the unit knows of one document.
#[derive(Clone)]
struct Entry {
    collection: &'static str,
    id: String,
    stored: Option<Stored>,
    /// Its content as the unit has it; `None` when it was removed.
    body: Option<String>,
    /// The place of its first change among all of the unit; `None` while it was only read.
    changed: Option<u64>,
    /// Grows with each save in this unit, so that an older copy shows.
    revision: u32,
}

#[derive(Clone, Copy)]
struct Stored {
    version: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// What ends together with the outermost command.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    /// The answer to be kept for an idempotency key.
    pub(crate) completion: Option<Completion>,
    /// The piece of work whose effects these are.
    pub(crate) finish: Option<Finish>,
}

#[derive(Clone)]
pub(crate) struct RaisedBy {
    pub(crate) event: AnyEvent,
    subject: String,
}

impl UnitOfWork {
    /// A unit of work over a store; in an application the container makes one for each scope.
    pub fn new(store: Arc<dyn Store>, clock: Clock, ids: Ids) -> Self {
        Self { store, clock, ids, correlation: Arc::default(), wake: None, state: Mutex::default() }
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Adds statements in the engine's own terms to the batch.
    ///
    /// Those that were added outside of commands go with [`UnitOfWork::commit`], and no command begins before:
    /// an engine takes a statement once, so that none could be given back after a failure.
    ///
    /// # Errors
    /// When a query tries to.
    pub fn native(&self, engine: &'static str, step: impl Any + Send + Sync) -> Result<()> {
        self.change()?.gathered.native.push(NativeStep { engine, step: Box::new(step) });
        Ok(())
    }

    /// Adds a piece of work to the batch.
    pub(crate) fn enqueue(&self, work: NewWork) -> Result<()> {
        self.change()?.gathered.work.push(work);
        Ok(())
    }

    /// Takes up an event that no aggregate raised; it goes the way of theirs.
    pub(crate) fn raise(&self, event: AnyEvent, subject: String) -> Result<()> {
        self.change()?.gathered.events.push(RaisedBy { event, subject });
        Ok(())
    }

    pub(super) async fn get<A: Aggregate>(&self, id: &A::Id) -> Result<Option<A>> {
        let key = (A::COLLECTION, id.to_string());
        let known = self.state().gathered.recall::<A>(&key);
        if let Some(known) = known {
            return known;
        }
        let Some(document) = self.store.load(A::COLLECTION, &key.1).await? else { return Ok(None) };
        self.state().gathered.remember(key, document)
    }

    /// What a query has read, which is remembered unless the unit has changed the document.
    pub(super) fn read<A: Aggregate>(&self, document: Document) -> Result<A> {
        let aggregate = Self::decode(&document)?;
        self.state().gathered.note((A::COLLECTION, document.id.clone()), document);
        Ok(aggregate)
    }

    /// Whether both read from one store.
    pub(super) fn shares_store(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.store, &other.store)
    }

    /// What the unit has of these, and of the rest what was read, in the order of the ids.
    pub(super) fn read_all<A: Aggregate>(&self, ids: &[String], documents: Vec<Document>) -> Result<Vec<A>> {
        let mut read: HashMap<String, Document> =
            documents.into_iter().map(|document| (document.id.clone(), document)).collect();
        let mut state = self.state();
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            let key = (A::COLLECTION, id.clone());
            found.extend(match read.remove(id) {
                Some(document) => state.gathered.remember(key, document)?,
                None => state.gathered.recall(&key).transpose()?.flatten(),
            });
        }
        Ok(found)
    }

    pub(super) fn decode<A: Aggregate>(document: &Document) -> Result<A> {
        decode_body(&document.body, Root::loaded(document.version, document.created_at, document.updated_at))
    }

    pub(super) fn save<A: Aggregate>(&self, aggregate: &mut A) -> Result<()> {
        let mut body = Vec::with_capacity(BODY_BYTES);
        serde_json::to_writer(&mut body, aggregate).map_err(Error::internal)?;
        let body = String::from_utf8(body).map_err(Error::internal)?;
        self.put(aggregate, Some(body))
    }

    pub(super) fn remove<A: Aggregate>(&self, aggregate: &mut A) -> Result<()> {
        if aggregate.root().stored_version().is_none() && aggregate.root().revision() == 0 {
            return Err(Error::not_found(A::COLLECTION, aggregate.id()));
        }
        self.put(aggregate, None)
    }

    fn put<A: Aggregate>(&self, aggregate: &mut A, body: Option<String>) -> Result<()> {
        let subject = aggregate.id().to_string();
        let mut state = self.change()?;
        let place = state.changes;
        let entry = state.gathered.entry(A::COLLECTION, &subject, aggregate.root())?;
        entry.body = body;
        entry.changed.get_or_insert(place);
        entry.revision += 1;
        aggregate.root_mut().mark_saved(entry.revision);
        let raised = aggregate.take_events();
        state
            .gathered
            .events
            .extend(raised.into_iter().map(|event| RaisedBy { event, subject: subject.clone() }));
        Ok(())
    }

    /// Refuses what a query would change beside the batch.
    pub(crate) fn permit_change(&self) -> Result<()> {
        self.state().running.permit_change()
    }

    /// The state, to be changed.
    fn change(&self) -> Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.running.permit_change()?;
        state.changes += 1;
        Ok(state)
    }

    /// The events that wait for their handlers; they have become outbox messages by then.
    pub(crate) fn take_raised(&self) -> Result<Vec<RaisedBy>> {
        let mut state = self.state();
        let raised = std::mem::take(&mut state.gathered.events);
        for RaisedBy { event, subject } in &raised {
            check_subject(event.name(), subject)?;
            state.gathered.outbox.push(OutboxMessage {
                id: self.ids.next_uuid(),
                name: event.name().to_owned(),
                version: event.version(),
                subject: subject.clone(),
                data: outgoing_data(event)?,
                correlation_id: self.correlation.request_id.clone(),
                traceparent: self.correlation.traceparent.clone(),
                at: self.clock.now(),
            });
        }
        Ok(raised)
    }

    /// How many commands before this one had an idempotency key in this scope.
    pub(crate) fn count_keyed(&self) -> u32 {
        let mut state = self.state();
        state.keyed += 1;
        state.keyed - 1
    }

    /// Sends everything that was gathered outside of commands to the store as one batch. The unit begins anew,
    /// whatever comes of it. Events go to the outbox; their handlers run only in commands.
    ///
    /// # Errors
    /// Those of [`Store::commit`], and when a command runs: its changes are committed when it has succeeded.
    pub async fn commit(&self) -> Result<()> {
        if self.is_entered() {
            return Err(Error::internal("a command that runs in the unit of work commits it"));
        }
        self.send(Ending::default()).await
    }

    async fn send(&self, ending: Ending) -> Result<()> {
        let raised = self.take_raised();
        let gathered = std::mem::take(&mut self.state().gathered);
        raised?;
        let batch = Batch {
            at: self.clock.now(),
            writes: writes(gathered.entries),
            outbox: gathered.outbox,
            work: gathered.work,
            finish: ending.finish,
            completion: ending.completion,
            native: gathered.native,
        };
        if batch.is_empty() {
            return Ok(());
        }
        let (sends, asks) = (!batch.outbox.is_empty(), !batch.work.is_empty());
        self.store.commit(batch).await?;
        if let Some(wake) = &self.wake {
            if sends {
                wake.outbox();
            }
            if asks {
                wake.work();
            }
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gathered {
    /// What is still to be committed, to be gone back to when a command fails. What was only read is left out:
    /// whoever comes next reads it anew.
    fn unsaved(&self) -> Self {
        let entries: Vec<_> = self.entries.iter().filter(|entry| entry.changed.is_some()).cloned().collect();
        let keys = entries.iter().map(|entry| (entry.collection, entry.id.clone()));
        Self {
            index: keys.zip(0..).collect(),
            entries,
            events: self.events.clone(),
            outbox: self.outbox.clone(),
            work: self.work.clone(),
            // No command begins over statements of its own, because none could be given back.
            native: Vec::new(),
        }
    }

    /// What is known of a document: the inner `None` when it was removed here.
    fn recall<A: Aggregate>(&self, key: &(&'static str, String)) -> Option<Result<Option<A>>> {
        let &position = self.index.get(key)?;
        Some(self.entries[position].decode())
    }

    /// Keeps what was read, unless it was read meanwhile: two reads of one document see the same.
    fn remember<A: Aggregate>(
        &mut self,
        key: (&'static str, String),
        document: Document,
    ) -> Result<Option<A>> {
        if let Some(known) = self.recall(&key) {
            return known;
        }
        let aggregate = UnitOfWork::decode(&document)?;
        self.note(key, document);
        Ok(Some(aggregate))
    }

    /// Keeps what was read last of a document that the unit has not changed.
    fn note(&mut self, key: (&'static str, String), document: Document) {
        let entry = Entry {
            collection: key.0,
            id: document.id,
            stored: Some(Stored {
                version: document.version,
                created_at: document.created_at,
                updated_at: document.updated_at,
            }),
            body: Some(document.body),
            changed: None,
            revision: 0,
        };
        match self.index.get(&key) {
            Some(&position) if self.entries[position].changed.is_some() => {}
            Some(&position) => self.entries[position] = entry,
            None => {
                self.index.insert(key, self.entries.len());
                self.entries.push(entry);
            }
        }
    }

    /// The entry of a document that is about to be changed by a holder of `root`.
    fn entry(&mut self, collection: &'static str, id: &str, root: &Root) -> Result<&mut Entry> {
        let key = (collection, id.to_owned());
        let position = match self.index.get(&key) {
            Some(&position) => {
                let entry = &mut self.entries[position];
                let is_reborn =
                    entry.body.is_none() && root.stored_version().is_none() && root.revision() == 0;
                if entry.changed.is_some() && entry.revision != root.revision() && !is_reborn {
                    return Err(Error::internal(format!(
                        "{collection}/{id} was saved twice from two copies in one unit of work; load it once"
                    )));
                }
                if entry.changed.is_none() {
                    // What was read may be newer than the holder's copy: the holder's version is what counts.
                    entry.stored = Stored::of(root);
                }
                position
            }
            None => {
                self.entries.push(Entry {
                    collection,
                    id: id.to_owned(),
                    stored: Stored::of(root),
                    body: None,
                    changed: None,
                    revision: 0,
                });
                let position = self.entries.len() - 1;
                self.index.insert(key, position);
                position
            }
        };
        Ok(&mut self.entries[position])
    }
}

impl Stored {
    fn of(root: &Root) -> Option<Self> {
        Some(Self {
            version: root.stored_version()?,
            created_at: root.created_at()?,
            updated_at: root.updated_at()?,
        })
    }
}

impl Entry {
    fn root(&self) -> Root {
        let mut root = match self.stored {
            Some(stored) => Root::loaded(stored.version, stored.created_at, stored.updated_at),
            None => Root::default(),
        };
        if self.changed.is_some() {
            root.mark_saved(self.revision);
        }
        root
    }

    fn decode<A: Aggregate>(&self) -> Result<Option<A>> {
        self.body.as_deref().map(|body| decode_body(body, self.root())).transpose()
    }

    fn into_write(self) -> Option<Write> {
        self.changed?;
        let change = match (self.stored, self.body) {
            (None, Some(body)) => Change::Insert { body },
            (Some(stored), Some(body)) => Change::Update { expected: stored.version, body },
            (Some(stored), None) => Change::Delete { expected: stored.version },
            // Born and gone within the unit.
            (None, None) => return None,
        };
        Some(Write { collection: self.collection, id: self.id, change })
    }
}

/// What was changed, in the order in which it was first changed, whatever was read before: one of two that have the same
/// unique value is to be removed before the other is saved.
fn writes(mut entries: Vec<Entry>) -> Vec<Write> {
    entries.sort_by_key(|entry| entry.changed);
    entries.into_iter().filter_map(Entry::into_write).collect()
}

/// The data of an event, in a size that every bus takes.
fn outgoing_data(event: &AnyEvent) -> Result<String> {
    let data = event.to_json().map_err(Error::internal)?;
    if data.len() > EVENT_DATA_BYTES_MAX {
        let (name, bytes) = (event.name(), data.len());
        let what = format!(
            "the event `{name}` has {bytes} bytes of data, and no more than {EVENT_DATA_BYTES_MAX} can leave; have it say \
             where the rest is found"
        );
        return Err(Error::internal(what).with_retry(Retry::Never));
    }
    Ok(data)
}

fn decode_body<A: Aggregate>(body: &str, root: Root) -> Result<A> {
    let mut aggregate: A = serde_json::from_str(body).map_err(|cause| {
        tracing::error!(collection = A::COLLECTION, "a stored document is not what this release expects");
        Error::internal(cause)
    })?;
    *aggregate.root_mut() = root;
    Ok(aggregate)
}

impl Inject for UnitOfWork {
    fn dependencies(needs: &mut Dependencies) {
        needs.one::<dyn Store>();
        needs.one::<Clock>();
        needs.one::<Ids>();
        needs.one::<Correlation>();
        needs.optional::<Wake>();
    }

    fn inject(scope: &Scope) -> Result<Self> {
        Ok(Self {
            store: scope.get()?,
            clock: scope.inject()?,
            ids: scope.inject()?,
            correlation: scope.get()?,
            wake: scope.find()?,
            state: Mutex::default(),
        })
    }
}

impl fmt::Debug for UnitOfWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("UnitOfWork")
            .field("engine", &self.store.engine())
            .field("documents", &state.gathered.entries.len())
            .field("events", &state.gathered.events.len())
            .finish()
    }
}

/// Gives an application with a [`Store`] the unit of work of each scope.
pub fn register(services: &mut ServiceCollection) {
    if services.has::<dyn Store>() {
        services.try_add(Service::scoped::<UnitOfWork, UnitOfWork>());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_carried_out_in_their_order_whatever_was_read_first() {
        let entry = |id: &str, changed| Entry {
            collection: "tallies",
            id: id.to_owned(),
            stored: None,
            body: Some("{}".to_owned()),
            changed,
            revision: 0,
        };
        let entries = vec![entry("saved", Some(2)), entry("read", None), entry("removed", Some(1))];
        let ids: Vec<_> = writes(entries).into_iter().map(|write| write.id).collect();
        assert_eq!(ids, ["removed", "saved"]);
    }
}
