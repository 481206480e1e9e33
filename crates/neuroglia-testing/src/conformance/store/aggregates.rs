//! What repositories and units of work promise on top of the port.

use std::sync::Arc;
use std::time::Duration;

use neuroglia::clock::Clock;
use neuroglia::data::{Repository, Store, UnitOfWork};
use neuroglia::domain::{Aggregate, DomainEvent, Root};
use neuroglia::error::ErrorKind;
use neuroglia::id::Ids;
use serde::{Deserialize, Serialize};

use super::{NOTES, at, conflicting, refused};

/// The aggregate of the rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) id: String,
    #[serde(default)]
    rank: Option<i64>,
    #[serde(default)]
    text: String,
    #[serde(skip)]
    root: Root,
}

#[derive(Serialize)]
struct Written {
    text: String,
}

impl DomainEvent for Written {
    const NAME: &'static str = "note.written";
    const VERSION: u32 = 2;
}

#[derive(Serialize)]
struct Ranked {
    rank: i64,
}

impl DomainEvent for Ranked {
    const NAME: &'static str = "note.ranked";
}

impl Aggregate for Note {
    type Id = String;
    const COLLECTION: &'static str = NOTES;

    fn id(&self) -> &String {
        &self.id
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}

impl Note {
    fn new(id: &str, text: &str) -> Self {
        let mut note = Self { id: id.to_owned(), rank: None, text: String::new(), root: Root::default() };
        note.write(text);
        note
    }

    fn write(&mut self, text: &str) {
        text.clone_into(&mut self.text);
        self.raise(Written { text: text.to_owned() });
    }

    fn set_rank(&mut self, rank: i64) {
        self.rank = Some(rank);
        self.raise(Ranked { rank });
    }
}

/// What one request has: a unit of work, and the repository that works through it.
struct Desk {
    work: Arc<UnitOfWork>,
    notes: Repository<Note>,
}

/// Hands out desks over one store, one clock and one source of ids.
struct Office {
    store: Arc<dyn Store>,
    clock: Clock,
    ids: Ids,
}

impl Office {
    fn new(store: Arc<dyn Store>) -> Self {
        Self { store, clock: Clock::manual(at(1)), ids: Ids::sequence() }
    }

    fn desk(&self) -> Desk {
        let work = Arc::new(UnitOfWork::new(Arc::clone(&self.store), self.clock.clone(), self.ids.clone()));
        Desk { notes: Repository::new(Arc::clone(&work)), work }
    }

    async fn read(&self, id: &str) -> Option<Note> {
        self.desk().get(id).await
    }

    async fn add(&self, id: &str, text: &str) {
        self.desk().save(&mut Note::new(id, text)).await;
    }
}

impl Desk {
    async fn get(&self, id: &str) -> Option<Note> {
        self.notes.get(&id.to_owned()).await.expect("a note is read from a store that is there")
    }

    async fn save(&self, note: &mut Note) {
        self.notes.save(note).expect("a note is kept in the unit of work");
        self.work.commit().await.expect("a unit of work that meets no conflict is committed");
    }
}

pub(super) async fn a_saved_aggregate_is_equal_to_the_one_that_is_got(store: Arc<dyn Store>) {
    let office = Office::new(store);
    let mut note = Note::new("n-1", "Ünïcødé");
    note.set_rank(7);
    office.desk().save(&mut note).await;
    assert_eq!(office.read("n-1").await.as_ref(), Some(&note));
    assert_eq!(office.read("n-2").await, None);
}

pub(super) async fn nothing_is_visible_to_others_before_the_commit(store: Arc<dyn Store>) {
    let office = Office::new(store);
    let desk = office.desk();
    let mut note = Note::new("n-1", "mine");
    desk.notes.save(&mut note).expect("a note is kept in the unit of work");
    assert_eq!(desk.get("n-1").await.as_ref(), Some(&note), "the unit itself sees it");
    assert_eq!(office.read("n-1").await, None, "nobody else does");
    desk.work.commit().await.expect("a unit of work that meets no conflict is committed");
    assert_eq!(office.read("n-1").await.as_ref(), Some(&note));
}

pub(super) async fn a_mutation_of_a_fetched_aggregate_is_invisible_until_it_is_saved(store: Arc<dyn Store>) {
    let office = Office::new(store);
    office.add("n-1", "first").await;
    let desk = office.desk();
    let mut note = desk.get("n-1").await.expect("it is there");
    note.write("second");
    assert_eq!(
        desk.get("n-1").await.map(|note| note.text).as_deref(),
        Some("first"),
        "not even in its own unit"
    );
    desk.work.commit().await.expect("a unit of work without changes is committed");
    assert_eq!(office.read("n-1").await.map(|note| note.text).as_deref(), Some("first"));
    desk.save(&mut note).await;
    assert_eq!(office.read("n-1").await.map(|note| note.text).as_deref(), Some("second"));
}

pub(super) async fn each_save_grows_the_version_by_one_however_many_events(store: Arc<dyn Store>) {
    let office = Office::new(store);
    let mut new = Note::new("n-1", "first");
    new.set_rank(1);
    assert_eq!(new.version(), 0);
    office.desk().save(&mut new).await;
    for (version, events) in [(0, 0), (1, 1), (2, 5)] {
        let desk = office.desk();
        let mut note = desk.get("n-1").await.expect("it is there");
        assert_eq!(note.version(), version);
        for rank in 0..events {
            note.set_rank(rank);
        }
        desk.save(&mut note).await;
        assert_eq!(note.version(), version + 1, "the object knows the version that it got");
    }
    assert_eq!(office.read("n-1").await.map(|note| note.version()), Some(3));
}

pub(super) async fn of_two_readers_the_second_to_save_meets_a_conflict(store: Arc<dyn Store>) {
    let office = Office::new(store);
    office.add("n-1", "first").await;
    let (one, two) = (office.desk(), office.desk());
    let mut ours = one.get("n-1").await.expect("it is there");
    let mut theirs = two.get("n-1").await.expect("it is there");
    ours.write("ours");
    one.save(&mut ours).await;
    theirs.write("theirs");
    two.notes.save(&mut theirs).expect("the conflict shows at the commit");
    conflicting(two.work.commit().await, ErrorKind::Conflict, Some(0), Some(1));
    assert_eq!(
        office.read("n-1").await.map(|note| note.text).as_deref(),
        Some("ours"),
        "the store keeps the first"
    );
}

pub(super) async fn an_object_that_met_a_conflict_meets_it_again(store: Arc<dyn Store>) {
    let office = Office::new(store);
    office.add("n-1", "first").await;
    let mut stale = office.read("n-1").await.expect("it is there");
    let desk = office.desk();
    let mut fresh = desk.get("n-1").await.expect("it is there");
    fresh.write("second");
    desk.save(&mut fresh).await;
    for text in ["third", "fourth"] {
        stale.write(text);
        let desk = office.desk();
        desk.notes.save(&mut stale).expect("the conflict shows at the commit");
        conflicting(desk.work.commit().await, ErrorKind::Conflict, Some(0), Some(1));
    }
    // Reading the document anew in the same unit does not make the old object a new one.
    let desk = office.desk();
    desk.get("n-1").await.expect("it is there");
    desk.notes.save(&mut stale).expect("the conflict shows at the commit");
    conflicting(desk.work.commit().await, ErrorKind::Conflict, Some(0), Some(1));
    assert_eq!(office.read("n-1").await.map(|note| note.text).as_deref(), Some("second"));
}

pub(super) async fn removed_is_none_and_removing_the_unsaved_is_not_found(store: Arc<dyn Store>) {
    let office = Office::new(store);
    office.add("n-1", "first").await;
    let desk = office.desk();
    let mut note = desk.get("n-1").await.expect("it is there");
    desk.notes.remove(&mut note).expect("a stored note can be removed");
    assert_eq!(desk.get("n-1").await, None, "the unit itself sees that");
    assert!(office.read("n-1").await.is_some(), "nobody else does before the commit");
    desk.work.commit().await.expect("a unit of work that meets no conflict is committed");
    assert_eq!(office.read("n-1").await, None);
    let unsaved = desk.notes.remove(&mut Note::new("n-2", "never saved"));
    refused(unsaved, ErrorKind::NotFound, "removing what was never saved");
}

async fn told(store: &dyn Store) -> Vec<(String, u32, String, String)> {
    let messages = store.outbox(100).await.expect("the outbox is read");
    messages
        .into_iter()
        .map(|message| (message.name, message.version, message.subject, message.data))
        .collect()
}

pub(super) async fn events_are_told_once_in_order(store: Arc<dyn Store>) {
    let office = Office::new(Arc::clone(&store));
    let desk = office.desk();
    let (mut first, mut second) = (Note::new("n-1", "one"), Note::new("n-2", "two"));
    first.set_rank(1);
    desk.notes.save(&mut first).expect("a note is kept in the unit of work");
    desk.notes.save(&mut second).expect("a note is kept in the unit of work");
    first.set_rank(2);
    desk.save(&mut first).await;
    desk.work.commit().await.expect("an empty unit of work is committed");
    let tell = |name: &str, version, subject: &str, data: &str| {
        (name.to_owned(), version, subject.to_owned(), data.to_owned())
    };
    let expected = [
        tell("note.written", 2, "n-1", r#"{"text":"one"}"#),
        tell("note.ranked", 1, "n-1", r#"{"rank":1}"#),
        tell("note.written", 2, "n-2", r#"{"text":"two"}"#),
        tell("note.ranked", 1, "n-1", r#"{"rank":2}"#),
    ];
    assert_eq!(told(&*store).await, expected);
    // Saved again without news, it tells nothing again.
    let desk = office.desk();
    let mut again = desk.get("n-1").await.expect("it is there");
    desk.save(&mut again).await;
    assert_eq!(told(&*store).await.len(), expected.len());
}

pub(super) async fn events_of_a_failed_commit_are_never_told(store: Arc<dyn Store>) {
    let office = Office::new(Arc::clone(&store));
    office.add("n-1", "first").await;
    let before = told(&*store).await;
    let desk = office.desk();
    desk.notes.save(&mut Note::new("n-2", "beside it")).expect("a note is kept in the unit of work");
    desk.notes.save(&mut Note::new("n-1", "an id that is taken")).expect("the conflict shows at the commit");
    conflicting(desk.work.commit().await, ErrorKind::Conflict, None, Some(0));
    desk.work.commit().await.expect("the unit begins anew after a failure");
    assert_eq!(told(&*store).await, before);
    assert_eq!(office.read("n-2").await, None);
}

pub(super) async fn times_are_those_of_the_commits(store: Arc<dyn Store>) {
    let office = Office::new(store);
    office.add("n-1", "first").await;
    office.clock.advance(Duration::from_secs(59));
    let desk = office.desk();
    let mut note = desk.get("n-1").await.expect("it is there");
    assert_eq!((note.root().created_at(), note.root().updated_at()), (Some(at(1)), Some(at(1))));
    note.write("second");
    desk.save(&mut note).await;
    let note = office.read("n-1").await.expect("it is there");
    assert_eq!((note.root().created_at(), note.root().updated_at()), (Some(at(1)), Some(at(60))));
}
