//! What one command changes: gathered while it runs, committed as one batch when it has succeeded.
//!
//! Nothing is open while a handler thinks. A cancelled handler leaves nothing behind, because nothing has left
//! the process; a conflict throws the gathered writes away and the pipeline runs the handler again.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::store::{Batch, Change, Completion, Document, NativeStep, OutboxMessage, Store, Write};
use crate::clock::{Clock, Timestamp};
use crate::di::{Dependencies, Inject, Scope};
use crate::domain::{Aggregate, AnyEvent, Root};
use crate::error::{Error, Result};
use crate::id::Ids;
use crate::identity::Correlation;

/// The scope's gathered changes.
///
/// Handlers reach it through [`Repository`](super::Repository); they take it as `Arc<UnitOfWork>` only to add
/// statements of their own with [`UnitOfWork::native`].
pub struct UnitOfWork {
    store: Arc<dyn Store>,
    clock: Clock,
    ids: Ids,
    correlation: Arc<Correlation>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Commands that run inside each other; the outermost commits.
    depth: u32,
    entries: Vec<Entry>,
    index: HashMap<(&'static str, String), usize>,
    events: Vec<RaisedBy>,
    outbox: Vec<OutboxMessage>,
    native: Vec<NativeStep>,
    /// An answer to be kept, still without its text; it outlives a retry.
    expected: Option<Completion>,
    completion: Option<Completion>,
}

/// What the unit knows of one document.
struct Entry {
    collection: &'static str,
    id: String,
    stored: Option<Stored>,
    /// Its content as the unit has it; `None` when it was removed.
    body: Option<String>,
    dirty: bool,
    /// Grows with each save in this unit, so that an older copy shows.
    revision: u32,
}

#[derive(Clone, Copy)]
struct Stored {
    version: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

pub(crate) struct RaisedBy {
    pub(crate) event: AnyEvent,
    subject: String,
}

impl UnitOfWork {
    /// A unit of work over a store; in an application the container makes one for each scope.
    pub fn new(store: Arc<dyn Store>, clock: Clock, ids: Ids) -> Self {
        Self { store, clock, ids, correlation: Arc::default(), state: Mutex::default() }
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Adds statements in the engine's own terms to the batch.
    pub fn native(&self, engine: &'static str, step: impl Any + Send + Sync) {
        self.state().native.push(NativeStep { engine, step: Box::new(step) });
    }

    pub(super) async fn get<A: Aggregate>(&self, id: &A::Id) -> Result<Option<A>> {
        let key = (A::COLLECTION, id.to_string());
        if let Some(known) = self.known::<A>(&key) {
            return known;
        }
        let Some(document) = self.store.load(A::COLLECTION, &key.1).await? else { return Ok(None) };
        let aggregate = Self::decode(&document)?;
        self.state().remember(key, document);
        Ok(Some(aggregate))
    }

    fn known<A: Aggregate>(&self, key: &(&'static str, String)) -> Option<Result<Option<A>>> {
        let state = self.state();
        let entry = &state.entries[*state.index.get(key)?];
        Some(entry.body.as_deref().map(|body| decode_body(body, entry.root())).transpose())
    }

    pub(super) fn decode<A: Aggregate>(document: &Document) -> Result<A> {
        decode_body(&document.body, Root::loaded(document.version, document.created_at, document.updated_at))
    }

    pub(super) fn save<A: Aggregate>(&self, aggregate: &mut A) -> Result<()> {
        let body = serde_json::to_string(aggregate).map_err(Error::internal)?;
        let subject = aggregate.id().to_string();
        let mut state = self.state();
        let entry = state.entry(A::COLLECTION, &subject, aggregate.root())?;
        entry.body = Some(body);
        entry.dirty = true;
        entry.revision += 1;
        let revision = entry.revision;
        aggregate.root_mut().mark_saved(revision);
        let raised = aggregate.take_events();
        state.events.extend(raised.into_iter().map(|event| RaisedBy { event, subject: subject.clone() }));
        Ok(())
    }

    pub(super) fn remove<A: Aggregate>(&self, aggregate: &mut A) -> Result<()> {
        let subject = aggregate.id().to_string();
        let mut state = self.state();
        if aggregate.root().stored_version().is_none() && !state.index.contains_key(&(A::COLLECTION, subject.clone()))
        {
            return Err(Error::not_found(A::COLLECTION, subject));
        }
        let entry = state.entry(A::COLLECTION, &subject, aggregate.root())?;
        entry.body = None;
        entry.dirty = true;
        entry.revision += 1;
        let revision = entry.revision;
        aggregate.root_mut().mark_saved(revision);
        let raised = aggregate.take_events();
        state.events.extend(raised.into_iter().map(|event| RaisedBy { event, subject: subject.clone() }));
        Ok(())
    }

    /// Notes that a command begins; gives whether it is the outermost.
    pub(crate) fn enter(&self) -> bool {
        let mut state = self.state();
        state.depth += 1;
        state.depth == 1
    }

    /// Notes that a command has ended; gives whether it was the last to end.
    pub(crate) fn leave(&self) -> bool {
        let mut state = self.state();
        state.depth = state.depth.saturating_sub(1);
        state.depth == 0
    }

    pub(crate) fn is_entered(&self) -> bool {
        self.state().depth > 0
    }

    /// Whether anything was changed.
    pub(crate) fn has_changes(&self) -> bool {
        let state = self.state();
        state.entries.iter().any(|entry| entry.dirty) || !state.events.is_empty() || !state.native.is_empty()
    }

    /// The events that wait for their handlers; they have become outbox messages by then.
    pub(crate) fn take_raised(&self) -> Result<Vec<RaisedBy>> {
        let mut state = self.state();
        let raised = std::mem::take(&mut state.events);
        for RaisedBy { event, subject } in &raised {
            state.outbox.push(OutboxMessage {
                id: self.ids.next_uuid(),
                name: event.name().to_owned(),
                version: event.version(),
                subject: subject.clone(),
                data: event.to_json().map_err(Error::internal)?,
                correlation_id: self.correlation.request_id.clone(),
                traceparent: self.correlation.traceparent.clone(),
                at: self.clock.now(),
            });
        }
        Ok(raised)
    }

    /// Has the answer of the command that is about to run kept with its changes.
    pub(crate) fn expect_completion(&self, completion: Completion) {
        self.state().expected = Some(completion);
    }

    pub(crate) fn forget_completion(&self) {
        self.state().expected = None;
    }

    pub(crate) fn expects_completion(&self) -> bool {
        self.state().expected.is_some()
    }

    pub(crate) fn answer_completion(&self, response: String) {
        let mut state = self.state();
        state.completion = state.expected.clone().map(|expected| Completion { response, ..expected });
    }

    /// Throws away what was gathered, and what was read.
    pub(crate) fn reset(&self) {
        let mut state = self.state();
        let expected = state.expected.take();
        *state = State { depth: state.depth, expected, ..State::default() };
    }

    /// Sends everything that was gathered to the store as one batch. The unit begins anew, whatever comes of it.
    ///
    /// # Errors
    /// Those of [`Store::commit`].
    pub async fn commit(&self) -> Result<()> {
        self.take_raised()?;
        let batch = {
            let mut state = self.state();
            let gathered = std::mem::take(&mut *state);
            state.depth = gathered.depth;
            state.expected = gathered.expected;
            Batch {
                at: self.clock.now(),
                writes: gathered.entries.into_iter().filter_map(Entry::into_write).collect(),
                outbox: gathered.outbox,
                completion: gathered.completion,
                native: gathered.native,
            }
        };
        if batch.is_empty() { Ok(()) } else { self.store.commit(batch).await }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remember(&mut self, key: (&'static str, String), document: Document) {
        // Two reads of one document may cross; the first stays, so that both see the same.
        if self.index.contains_key(&key) {
            return;
        }
        self.entries.push(Entry {
            collection: key.0,
            id: key.1.clone(),
            stored: Some(Stored {
                version: document.version,
                created_at: document.created_at,
                updated_at: document.updated_at,
            }),
            body: Some(document.body),
            dirty: false,
            revision: 0,
        });
        self.index.insert(key, self.entries.len() - 1);
    }

    /// The entry of a document that is about to be changed by a holder of `root`.
    fn entry(&mut self, collection: &'static str, id: &str, root: &Root) -> Result<&mut Entry> {
        let key = (collection, id.to_owned());
        let position = match self.index.get(&key) {
            Some(&position) => {
                let entry = &mut self.entries[position];
                if entry.dirty && entry.revision != root.revision() {
                    return Err(Error::internal(format!(
                        "{collection}/{id} was saved twice from two copies in one unit of work; load it once"
                    )));
                }
                if !entry.dirty {
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
                    dirty: false,
                    revision: 0,
                });
                self.index.insert(key, self.entries.len() - 1);
                self.entries.len() - 1
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
        if self.dirty {
            root.mark_saved(self.revision);
        }
        root
    }

    fn into_write(self) -> Option<Write> {
        if !self.dirty {
            return None;
        }
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
    }

    fn inject(scope: &Scope) -> Result<Self> {
        Ok(Self {
            store: scope.get()?,
            clock: scope.inject()?,
            ids: scope.inject()?,
            correlation: scope.get()?,
            state: Mutex::default(),
        })
    }
}

impl fmt::Debug for UnitOfWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("UnitOfWork")
            .field("engine", &self.store.engine())
            .field("documents", &state.entries.len())
            .field("events", &state.events.len())
            .finish()
    }
}
