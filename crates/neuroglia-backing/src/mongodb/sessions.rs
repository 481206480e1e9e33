//! Which sessions a process has transactions in, so that others can end them when it is dead.
//!
//! MongoDB keeps a transaction open whose process is gone, for a minute unless it is told otherwise, and locks what that
//! has written. So each process notes its sessions in the document of its node, and whoever buries the node ends them.
//! The driver uses a session again, so there are about as many as there are places at once.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, doc};
use neuroglia::clock::Timestamp;
use uuid::Uuid;

use super::connection::Connection;
use super::fields::uuid;
use super::schema::NODES;

/// How many sessions of a node are remembered for each place. The driver drops one that nobody used for half an hour,
/// so a node has had more than it has.
const PER_PLACE: usize = 4;

/// What this process has noted.
#[derive(Default)]
pub(super) struct Sessions(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    /// The node, and when it began to live. One that was taken for dead begins anew, with nothing noted.
    life: Option<(Uuid, Timestamp)>,
    /// Those that the document of the node has, the oldest first.
    sessions: VecDeque<Document>,
}

impl Sessions {
    /// Notes as which node this process lives, and since when.
    pub(super) fn live_as(&self, node: Uuid, since: Timestamp) {
        let mut noted = self.noted();
        if noted.life != Some((node, since)) {
            *noted = Noted { life: Some((node, since)), sessions: VecDeque::new() };
        }
    }

    /// Notes a session before its first transaction, where this process is a node.
    pub(super) async fn note(
        &self,
        connection: &Connection,
        session: &ClientSession,
    ) -> mongodb::error::Result<()> {
        let id = session.id();
        let life = {
            let noted = self.noted();
            match noted.life {
                Some(life) if !noted.sessions.contains(id) => life,
                _ => return Ok(()),
            }
        };
        let most = connection.settings().connections_max as usize * PER_PLACE;
        let last = -i64::try_from(most).unwrap_or(i64::MAX);
        let one_more = doc! { "$push": { "sessions": { "$each": [id.clone()], "$slice": last } } };
        let node = doc! { "_id": uuid(life.0), "started_at": life.1.unix_micros() };
        let noted = connection.collection(NODES).update_one(node, one_more).await?;
        let mut own = self.noted();
        if noted.matched_count == 1 && own.life == Some(life) {
            own.sessions.push_back(id.clone());
            // What the document has no more is noted again when it is used again.
            if own.sessions.len() > most {
                own.sessions.pop_front();
            }
        }
        Ok(())
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the transactions of a node that is given up. Every user may end the sessions of his own, and the server says
/// nothing of those of another.
pub(super) async fn end(connection: &Connection, node: &Document) {
    let sessions: Vec<Bson> = node.get_array("sessions").map(|all| all.to_vec()).unwrap_or_default();
    if sessions.is_empty() {
        return;
    }
    let admin = connection.client().database("admin");
    if let Err(cause) =
        connection.run(admin.run_command(doc! { "killSessions": sessions }).into_future()).await
    {
        tracing::warn!(
            error = %cause,
            "transactions of a dead node could not be ended; what it has locked is free when the server ends them"
        );
    }
}
