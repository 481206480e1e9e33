//! Who is the first of a line: given the mark when somebody asks, by whoever looks next.
//!
//! See `schema.rs` for what a line is. A look reads the notes of who came and who left, gives each of those lines'
//! first the mark, and takes the notes away that it has read. A note that is written meanwhile has another token and
//! stays. What a look does can be done twice, and by two at once.
//!
//! A first that a transaction has locked, of a process that has stopped perhaps, is waited for a moment and then left to
//! the next look, with its note: it holds up no other line. One that has the mark is not given it again, and whoever is at
//! work keeps its note, which asks for nothing while it is the first: its end is part of a transaction, so a look that
//! wrote to it would wait for that, or for the server to end what a dead process has left.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use mongodb::bson::{Bson, Document, doc};
use neuroglia::error::{ErrorKind, Result};
use tokio::time::{Instant, timeout};

use super::connection::Connection;
use super::error::{error, is_duplicate, is_locked};

/// How many notes are read at once.
const NOTES_MAX: i64 = 200;
/// After so long a look reads no more: who comes faster than they are read is for the next one, and whoever looks has
/// something else to do as well.
const LOOK_MAX: Duration = Duration::from_secs(2);
/// How long a first is waited for that somebody has locked.
const MARK_LIMIT: Duration = Duration::from_secs(1);
/// How many lines are looked at at once.
const LINES_AT_ONCE: usize = 4;

/// What stands in lines.
pub(super) struct Lines {
    pub(super) collection: &'static str,
    /// The field that says which line it is, also of who has left it.
    pub(super) key: &'static str,
    /// What the mark changes in the document that gets it, beside `head_of`: a stage of an update.
    pub(super) begun: fn() -> Document,
    /// Whether who has left is deleted with its note.
    pub(super) deletes_leavers: bool,
}

impl Lines {
    /// Looks at the lines that somebody came into or left, the longest ago first.
    pub(super) async fn look(&self, connection: &Connection) -> Result<()> {
        let collection = connection.collection(self.collection);
        let began = Instant::now();
        let mut refused = BTreeSet::new();
        loop {
            let mut wanted = doc! { "look": { "$exists": true }, "owner": nobody() };
            if !refused.is_empty() {
                wanted.insert(self.key, doc! { "$nin": refused.iter().collect::<Vec<_>>() });
            }
            let notes = collection
                .find(wanted)
                .projection(doc! { "look": 1, "line.key": 1, self.key: 1 })
                .limit(NOTES_MAX);
            let mut notes = connection.all(notes.into_future()).await?;
            let is_last = notes.len() < NOTES_MAX as usize || began.elapsed() > LOOK_MAX;
            refused.append(&mut self.give_marks(connection, &notes, began).await?);
            notes.retain(|note| note.get_str(self.key).is_ok_and(|line| !refused.contains(line)));
            self.take_notes_away(connection, &notes).await?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// Gives the mark to the first of each line that these notes are of; the lines in which nobody could have it now.
    async fn give_marks(
        &self,
        connection: &Connection,
        notes: &[Document],
        began: Instant,
    ) -> Result<BTreeSet<String>> {
        let lines: BTreeSet<_> = notes.iter().filter_map(|note| note.get_str(self.key).ok()).collect();
        let lines: Vec<_> = lines.into_iter().collect();
        let mut refused = BTreeSet::new();
        for some in lines.chunks(LINES_AT_ONCE) {
            if began.elapsed() > LOOK_MAX {
                refused.extend(some.iter().map(|line| (*line).to_owned()));
                continue;
            }
            let mut marks = Vec::with_capacity(some.len());
            for line in some {
                marks.push(self.give_mark(connection, line));
            }
            for (line, outcome) in some.iter().zip(join_all(marks).await) {
                match outcome {
                    Err(cause) if cause.kind() == ErrorKind::Unavailable => return Err(cause),
                    // One line that cannot go on holds up no other.
                    Err(cause) => {
                        tracing::error!(line, error = %cause, "a line has no first, and stands still");
                        refused.insert((*line).to_owned());
                    }
                    Ok(true) => {}
                    Ok(false) => {
                        tracing::debug!(line, "the first of a line is locked, and looked at again");
                        refused.insert((*line).to_owned());
                    }
                }
            }
        }
        Ok(refused)
    }

    /// Gives the mark to the first of a line; whether that could be done, or need not be.
    async fn give_mark(&self, connection: &Connection, line: &str) -> Result<bool> {
        let collection = connection.collection(self.collection);
        let first = collection.find_one(doc! { "line.key": line });
        let first = first.sort(doc! { "line.seq": 1 }).projection(doc! { "head_of": 1 });
        let Some(first) = connection.run(first.into_future()).await? else { return Ok(true) };
        if first.contains_key("head_of") {
            return Ok(true);
        }
        let mark = vec![doc! { "$set": { "head_of": { "$literal": line } } }, (self.begun)()];
        let first = collection.find_one_and_update(doc! { "line.key": line }, mark).max_time(MARK_LIMIT);
        let first = first.sort(doc! { "line.seq": 1 }).projection(doc! { "_id": 1 });
        let _place = connection.place().await?;
        // The server ends it by itself; who is silent for longer may be away.
        match timeout(MARK_LIMIT * 2, connection.at_once(MARK_LIMIT * 3, first.into_future())).await {
            Err(_) => Ok(false),
            Ok(outcome) => match outcome? {
                Err(cause) if is_locked(&cause) => Ok(false),
                // Another has the mark, and is at it; the line is looked at again when it leaves.
                Err(cause) if is_duplicate(&cause) => Ok(true),
                outcome => outcome.map(|_| true).map_err(error),
            },
        }
    }

    async fn take_notes_away(&self, connection: &Connection, notes: &[Document]) -> Result<()> {
        let collection = connection.collection(self.collection);
        let of = |are_leavers: bool| {
            let some = notes.iter().filter(move |note| note.contains_key("line") != are_leavers);
            let (ids, tokens): (Vec<_>, Vec<_>) =
                some.map(|note| (value(note, "_id"), value(note, "look"))).unzip();
            // What was read with one of these tokens was committed before the lines were looked at.
            (!ids.is_empty()).then(|| {
                doc! {
                    "_id": { "$in": ids },
                    "look": { "$in": tokens },
                    "line": { "$exists": !are_leavers },
                    "owner": nobody(),
                }
            })
        };
        let clear = doc! { "$unset": { "look": "" } };
        if let Some(comers) = of(false) {
            connection.run(collection.update_many(comers, clear.clone()).into_future()).await?;
        }
        let Some(leavers) = of(true) else { return Ok(()) };
        if self.deletes_leavers {
            connection.run(collection.delete_many(leavers).into_future()).await.map(drop)
        } else {
            connection.run(collection.update_many(leavers, clear).into_future()).await.map(drop)
        }
    }
}

/// Of whom nobody is at work on it.
fn nobody() -> Document {
    doc! { "$exists": false }
}

fn value(document: &Document, field: &str) -> Bson {
    document.get(field).cloned().unwrap_or(Bson::Null)
}
