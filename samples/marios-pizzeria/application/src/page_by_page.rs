//! Housekeeping that goes on page after page, each of them committed by itself.
//!
//! What a scheduled run sends joins the run's own unit of work, and queries see committed state only: a second page in it
//! would be the first one again. So each page has a scope, and a commit, of its own. A run that is broken off has done
//! what it has done, and the next goes on with the rest.

use std::sync::Arc;

use neuroglia::data::PAGE_LIMIT_MAX;
use neuroglia::di::{Inject, ScopeFactory};
use neuroglia::error::Result;
use neuroglia::identity::Correlation;
use neuroglia::mediation::{Mediator, Message};
use neuroglia::work::Run;

/// How many pages a run does at most; what is left is for the next one.
const PAGES_MAX: usize = 100;

/// Sends a command again and again, while its pages are full.
#[derive(Inject)]
pub(crate) struct PageByPage {
    scopes: ScopeFactory,
    correlation: Arc<Correlation>,
    run: Run,
}

impl PageByPage {
    /// Sends a command that does at most a page and answers with how much that was; gives how much it was in all.
    pub(crate) async fn send<As, M: Message<As, Response = usize> + Clone>(
        &self,
        message: M,
    ) -> Result<usize> {
        let mut done = 0;
        for _ in 0..PAGES_MAX {
            let scope = self.scopes.scope()?;
            scope.provide((*self.correlation).clone())?;
            let page = scope.inject::<Mediator>()?.send(message.clone()).await;
            scope.close().await;
            let page = page?;
            done += page;
            if page < PAGE_LIMIT_MAX as usize || self.run.cancelled()?.is_cancelled() {
                break;
            }
        }
        Ok(done)
    }
}
