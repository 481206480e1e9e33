//! Read on in the feed.

use neuroglia::clock::Timestamp;
use neuroglia::data::{PAGE_LIMIT_MAX, Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::error::{Error, Result};
use neuroglia::identity::Identity;
use neuroglia::mediation::{Query, QueryHandler};
use pizzeria_domain::user::UserId;
use schemars::JsonSchema;
use serde::Serialize;

use super::entry::{FeedEntry, NUMBER, OWNER};
use crate::accounts::{role, user_id};
use crate::wire::{Time, Uuid};

/// Whose orders somebody follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Following {
    /// Those of everybody.
    All,
    /// Those that this account placed.
    Own(UserId),
}

impl Following {
    /// What this caller may follow: staff all orders, others their own.
    ///
    /// # Errors
    /// When the caller has no account.
    pub fn of(caller: &Identity) -> Result<Self> {
        if role(caller).is_some_and(|role| role.is_staff()) {
            return Ok(Self::All);
        }
        user_id(caller).map(Self::Own).ok_or_else(Error::unauthenticated)
    }
}

/// Read what comes after a number, at most a hundred events at once.
pub struct ReadFeed {
    /// The last number that was read.
    pub after: i64,
    /// Whose orders.
    pub following: Following,
}

/// An event of an order.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FeedEventDto {
    /// Its number, by which to go on.
    #[serde(skip)]
    pub number: i64,
    /// What happened, such as `order.ready`.
    #[serde(rename = "type")]
    pub event: String,
    /// To which order.
    #[schemars(with = "Uuid")]
    pub order_id: String,
    /// When; later than what happened to the order before it, whatever the clocks of processes say.
    #[schemars(with = "Time")]
    pub at: Timestamp,
}

impl Query for ReadFeed {
    type Response = Vec<FeedEventDto>;
    type Handler = ReadFeedHandler;
}

/// Handles [`ReadFeed`].
#[derive(Inject)]
pub struct ReadFeedHandler {
    entries: Repository<FeedEntry>,
}

impl QueryHandler<ReadFeed> for ReadFeedHandler {
    async fn handle(&self, query: ReadFeed) -> Result<Vec<FeedEventDto>> {
        let mut wanted = NUMBER.gt(query.after);
        if let Following::Own(user) = query.following {
            wanted = wanted.and(OWNER.eq(user.to_string()));
        }
        let page = self.entries.find(Find::filter(wanted).ascending(NUMBER).limit(PAGE_LIMIT_MAX)).await?;
        let events = page.items.into_iter().filter_map(|entry| {
            Some(FeedEventDto {
                number: entry.number?,
                event: entry.event,
                order_id: entry.order_id.to_string(),
                at: entry.at,
            })
        });
        Ok(events.collect())
    }
}
