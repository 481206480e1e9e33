//! The live feed: every event of every order, numbered in an order that all readers share.
//!
//! An event is kept without a number by whoever is told of it first, so that events meet nowhere. Readers number
//! what is new: all of it in one unit of work together with the last number that was given, so a number that can be
//! seen has every smaller one before it, and "everything after this number" leaves nothing out.

use std::fmt;

use neuroglia::clock::Timestamp;
use neuroglia::data::Field;
use neuroglia::domain::{Aggregate, Root};
use neuroglia::id::Id;
use pizzeria_domain::order::OrderId;
use pizzeria_domain::user::UserId;
use serde::{Deserialize, Serialize};

pub(super) const NUMBER: Field<FeedEntry, i64> = Field::new("number");
pub(super) const OWNER: Field<FeedEntry, String> = Field::new("owner");
pub(super) const ORDER: Field<FeedEntry, OrderId> = Field::new("order_id");
pub(super) const AT: Field<FeedEntry, Timestamp> = Field::new("at");

/// An event as the feed keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FeedEntry {
    pub(super) id: Id<Self>,
    pub(super) number: Option<i64>,
    pub(super) event: String,
    pub(super) order_id: OrderId,
    /// The account that placed the order.
    pub(super) owner: Option<UserId>,
    /// When, and later than what happened to the order before, so that what is numbered together has this order.
    pub(super) at: Timestamp,
    #[serde(skip)]
    pub(super) root: Root,
}

/// The id of the feed's one head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FeedHeadId;

impl fmt::Display for FeedHeadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("head")
    }
}

/// The last number that was given.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct FeedHead {
    pub(super) last: i64,
    #[serde(skip)]
    root: Root,
}

impl Aggregate for FeedEntry {
    type Id = Id<Self>;
    const COLLECTION: &'static str = "feed_entries";

    fn id(&self) -> &Id<Self> {
        &self.id
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}

impl Aggregate for FeedHead {
    type Id = FeedHeadId;
    const COLLECTION: &'static str = "feed_heads";

    fn id(&self) -> &FeedHeadId {
        &FeedHeadId
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}
