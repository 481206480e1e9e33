//! Who is the first of a line: given the mark when somebody asks, by whoever looks next.
//!
//! See `schema.rs` for what a line is. A look reads the notes of who came and who left, gives each of those lines'
//! first the mark, and takes the notes away that it has read. A note that is written meanwhile has another token and
//! stays. What a look does can be done twice, and by two at once.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use mongodb::bson::{Bson, Document, doc};
use neuroglia::error::{ErrorKind, Result};
use tokio::time::Instant;

use super::connection::Connection;
use super::error::is_duplicate;

/// How many notes are read at once.
const NOTES_MAX: i64 = 200;
/// After so long a look reads no more: who comes faster than they are read is for the next one, and whoever looks has
/// something else to do as well.
const LOOK_MAX: Duration = Duration::from_secs(2);
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
        loop {
            let notes = collection
                .find(doc! { "look": { "$exists": true } })
                .projection(doc! { "look": 1, "line.key": 1, self.key: 1 })
                .limit(NOTES_MAX);
            let mut notes = connection.all(notes.into_future()).await?;
            let is_last = notes.len() < NOTES_MAX as usize || began.elapsed() > LOOK_MAX;
            let refused = self.give_marks(connection, &notes).await?;
            notes.retain(|note| note.get_str(self.key).is_ok_and(|line| !refused.contains(line)));
            self.take_notes_away(connection, &notes).await?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// Gives the mark to the first of each line that these notes are of; the lines in which nobody could have it.
    async fn give_marks(&self, connection: &Connection, notes: &[Document]) -> Result<BTreeSet<String>> {
        let lines: BTreeSet<_> = notes.iter().filter_map(|note| note.get_str(self.key).ok()).collect();
        let lines: Vec<_> = lines.into_iter().collect();
        let mut refused = BTreeSet::new();
        for some in lines.chunks(LINES_AT_ONCE) {
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
                    Ok(()) => {}
                }
            }
        }
        Ok(refused)
    }

    async fn give_mark(&self, connection: &Connection, line: &str) -> Result<()> {
        let mark = vec![doc! { "$set": { "head_of": { "$literal": line } } }, (self.begun)()];
        let collection = connection.collection(self.collection);
        let first = collection.find_one_and_update(doc! { "line.key": line }, mark);
        let first = first.sort(doc! { "line.seq": 1 }).projection(doc! { "_id": 1 });
        match connection.tried(first.into_future()).await? {
            // Another has the mark, and is at it; the line is looked at again when it leaves.
            Err(cause) if is_duplicate(&cause) => Ok(()),
            outcome => outcome.map(drop).map_err(super::error::error),
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
                doc! { "_id": { "$in": ids }, "look": { "$in": tokens }, "line": { "$exists": !are_leavers } }
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

fn value(document: &Document, field: &str) -> Bson {
    document.get(field).cloned().unwrap_or(Bson::Null)
}
