//! Forget what is old in the feed.

use std::time::Duration;

use neuroglia::clock::Clock;
use neuroglia::data::{PAGE_LIMIT_MAX, Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::{Command, CommandHandler};
use neuroglia::schedule::{Schedule, ScheduledTask, Tick};

use super::entry::{AT, FeedEntry};
use crate::page_by_page::PageByPage;

/// How long an event is in the feed: as long as that, a client that was away misses nothing.
const KEEP: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Forget what is old in the feed, at most a hundred events at once; answers with their number.
#[derive(Debug, Clone)]
pub struct TrimFeed {}

impl Command for TrimFeed {
    type Response = usize;
    type Handler = TrimFeedHandler;
}

/// Handles [`TrimFeed`].
#[derive(Inject)]
pub struct TrimFeedHandler {
    entries: Repository<FeedEntry>,
    clock: Clock,
}

impl CommandHandler<TrimFeed> for TrimFeedHandler {
    async fn handle(&self, _: TrimFeed) -> Result<usize> {
        let old = Find::filter(AT.le(self.clock.now() - KEEP)).ascending(AT).limit(PAGE_LIMIT_MAX);
        let mut old = self.entries.find(old).await?.items;
        for entry in &mut old {
            self.entries.remove(entry)?;
        }
        Ok(old.len())
    }
}

/// Trims the feed every minute.
#[derive(Inject)]
pub struct TrimEveryMinute {
    pages: PageByPage,
}

impl ScheduledTask for TrimEveryMinute {
    const NAME: &'static str = "trim-feed";
    const SCHEDULE: Schedule = Schedule::every(Duration::from_secs(60));

    async fn run(&self, _: Tick) -> Result<()> {
        self.pages.send(TrimFeed {}).await.map(drop)
    }
}
