//! End the sessions of an account that has changed.

use std::sync::Arc;

use neuroglia::cache::Sessions;
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::work::{Job, JobHandler};
use pizzeria_domain::user::UserId;
use serde::{Deserialize, Serialize};

/// How often it is tried: for longer than a session lasts, should the cache be away.
const ATTEMPTS_MAX: u32 = 1_000;

/// End the sessions of an account that has changed, after the change: those that were begun while it was being committed
/// too.
#[derive(Debug, Serialize, Deserialize)]
pub struct EndSessions {
    /// Whose.
    pub user: UserId,
}

impl Job for EndSessions {
    const KIND: &'static str = "account.end_sessions";
    const ATTEMPTS_MAX: u32 = ATTEMPTS_MAX;
    type Output = ();
    type Handler = EndSessionsHandler;
}

/// Handles [`EndSessions`].
#[derive(Inject)]
pub struct EndSessionsHandler {
    sessions: Arc<Sessions>,
}

impl JobHandler<EndSessions> for EndSessionsHandler {
    async fn run(&self, job: EndSessions) -> Result<()> {
        self.sessions.end_all(job.user.as_str()).await
    }
}
