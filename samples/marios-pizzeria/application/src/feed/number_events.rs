//! Number what is new in the feed.

use neuroglia::data::{PAGE_LIMIT_MAX, Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::{Command, CommandHandler};

use super::entry::{AT, FeedEntry, FeedHead, FeedHeadId, NUMBER};

/// Number what is new in the feed, at most a hundred events at once; answers with the last number.
#[derive(Debug, Clone)]
pub struct NumberEvents {}

impl Command for NumberEvents {
    type Response = i64;
    type Handler = NumberEventsHandler;
}

/// Handles [`NumberEvents`].
#[derive(Inject)]
pub struct NumberEventsHandler {
    entries: Repository<FeedEntry>,
    heads: Repository<FeedHead>,
}

impl CommandHandler<NumberEvents> for NumberEventsHandler {
    async fn handle(&self, _: NumberEvents) -> Result<i64> {
        let fresh = Find::filter(NUMBER.is_null()).ascending(AT).limit(PAGE_LIMIT_MAX);
        let mut fresh = self.entries.find(fresh).await?.items;
        // The head is read last: when there is nothing to number, it is as new as what is numbered.
        let mut head = self.heads.get(&FeedHeadId).await?.unwrap_or_default();
        for entry in &mut fresh {
            head.last += 1;
            entry.number = Some(head.last);
            self.entries.save(entry)?;
        }
        if !fresh.is_empty() {
            self.heads.save(&mut head)?;
        }
        Ok(head.last)
    }
}
