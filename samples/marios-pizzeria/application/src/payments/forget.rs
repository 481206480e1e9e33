//! Forget which webhooks were heard long ago.

use std::time::Duration;

use neuroglia::clock::Clock;
use neuroglia::data::{PAGE_LIMIT_MAX, Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::{Command, CommandHandler};
use neuroglia::schedule::{Schedule, ScheduledTask, Tick};

use super::hear::{AT, HeardWebhook};
use crate::page_by_page::PageByPage;

/// How long a webhook's id is kept, as long as a delivery's. One that comes again after that is signed anew by the
/// gateway, and tells old news.
const KEEP: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Forget which webhooks were heard long ago, at most a hundred at once; answers with their number.
#[derive(Debug, Clone)]
pub struct ForgetWebhooks {}

impl Command for ForgetWebhooks {
    type Response = usize;
    type Handler = ForgetWebhooksHandler;
}

/// Handles [`ForgetWebhooks`].
#[derive(Inject)]
pub struct ForgetWebhooksHandler {
    heard: Repository<HeardWebhook>,
    clock: Clock,
}

impl CommandHandler<ForgetWebhooks> for ForgetWebhooksHandler {
    async fn handle(&self, _: ForgetWebhooks) -> Result<usize> {
        let old = Find::filter(AT.le(self.clock.now() - KEEP)).ascending(AT).limit(PAGE_LIMIT_MAX);
        let mut old = self.heard.find(old).await?.items;
        for webhook in &mut old {
            self.heard.remove(webhook)?;
        }
        Ok(old.len())
    }
}

/// Forgets every minute.
#[derive(Inject)]
pub struct ForgetEveryMinute {
    pages: PageByPage,
}

impl ScheduledTask for ForgetEveryMinute {
    const NAME: &'static str = "forget-payment-webhooks";
    const SCHEDULE: Schedule = Schedule::every(Duration::from_secs(60));

    async fn run(&self, _: Tick) -> Result<()> {
        self.pages.send(ForgetWebhooks {}).await.map(drop)
    }
}
