//! Which sessions a process has transactions in, so that others can end them when it is dead.
//!
//! MongoDB keeps a transaction open whose process is gone, for a minute unless it is told otherwise, and locks what that
//! has written. So each process notes its sessions in the document of its node, and whoever buries the node ends them.
//! The driver uses a session again, so there are about as many as there are places at once.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, doc};
use neuroglia::error::Result;
use uuid::Uuid;

use super::connection::Connection;
use super::fields::uuid;
use super::schema::NODES;

/// How many sessions of a node are remembered; more would be of connections that it has no more.
const SESSIONS_MAX: i32 = 100;

/// What this process has noted.
#[derive(Default)]
pub(super) struct Sessions(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    node: Option<Uuid>,
    sessions: HashSet<String>,
}

impl Sessions {
    /// Notes as which node this process lives; a new one has nothing noted.
    pub(super) fn live_as(&self, node: Uuid, is_new: bool) {
        let mut noted = self.noted();
        if is_new || noted.node != Some(node) {
            *noted = Noted { node: Some(node), sessions: HashSet::new() };
        }
    }

    /// Notes a session before its first transaction, where this process is a node.
    pub(super) async fn note(
        &self,
        connection: &Connection,
        session: &ClientSession,
    ) -> mongodb::error::Result<()> {
        let id = session.id();
        let name = id.to_string();
        let node = {
            let noted = self.noted();
            match noted.node {
                Some(node) if !noted.sessions.contains(&name) => node,
                _ => return Ok(()),
            }
        };
        let one_more = doc! { "$push": { "sessions": { "$each": [id.clone()], "$slice": -SESSIONS_MAX } } };
        let noted = connection.collection(NODES).update_one(doc! { "_id": uuid(node) }, one_more).await?;
        let mut own = self.noted();
        if noted.matched_count == 1 && own.node == Some(node) {
            own.sessions.insert(name);
        }
        Ok(())
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the transactions of a node that is given up. Every user may end the sessions of his own.
pub(super) async fn end(connection: &Connection, node: &Document) -> Result<()> {
    let sessions: Vec<Bson> = node.get_array("sessions").map(|all| all.to_vec()).unwrap_or_default();
    if sessions.is_empty() {
        return Ok(());
    }
    let end = connection.client().database("admin");
    let ended = connection.tried(end.run_command(doc! { "killSessions": sessions }).into_future()).await?;
    if let Err(cause) = ended {
        tracing::warn!(
            error = %super::error(cause),
            "transactions of a dead node could not be ended; what it has locked is free when the server ends them"
        );
    }
    Ok(())
}
