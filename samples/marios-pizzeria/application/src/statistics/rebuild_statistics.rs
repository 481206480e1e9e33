//! Rebuild the statistics from the orders, while everything else goes on.

use neuroglia::data::{Cursor, PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::error::{Error, Result};
use neuroglia::mediation::{Command, CommandHandler};
use pizzeria_domain::order::Order;
use serde::{Deserialize, Serialize};

use super::ledger::{ENTRY_EDITION, Ledger, TALLY_EDITION};

/// One stage of rebuilding the statistics; its answer is the next one. A stage may be done again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum RebuildStatistics {
    /// Begin a new edition of the books.
    Begin,
    /// Enter some orders into it.
    Enter {
        /// The new edition.
        edition: u32,
        /// Where to go on.
        cursor: Option<Cursor>,
    },
    /// Have the new edition read.
    Publish {
        /// The new edition.
        edition: u32,
    },
    /// Throw a part of the former ones away.
    Clear,
}

impl Command for RebuildStatistics {
    type Response = Option<Self>;
    type Handler = RebuildStatisticsHandler;
}

/// Handles [`RebuildStatistics`].
#[derive(Inject)]
pub struct RebuildStatisticsHandler {
    ledger: Ledger,
    orders: Repository<Order>,
}

impl CommandHandler<RebuildStatistics> for RebuildStatisticsHandler {
    async fn handle(&self, stage: RebuildStatistics) -> Result<Option<RebuildStatistics>> {
        match stage {
            RebuildStatistics::Begin => self.begin().await.map(Some),
            RebuildStatistics::Enter { edition, cursor } => self.enter(edition, cursor).await.map(Some),
            RebuildStatistics::Publish { edition } => self.publish(edition).await.map(Some),
            RebuildStatistics::Clear => self.clear().await,
        }
    }
}

impl RebuildStatisticsHandler {
    async fn begin(&self) -> Result<RebuildStatistics> {
        let mut editions = self.ledger.editions().await?;
        let edition = editions.last + 1;
        (editions.last, editions.rebuilt) = (edition, Some(edition));
        self.ledger.editions.save(&mut editions)?;
        Ok(RebuildStatistics::Enter { edition, cursor: None })
    }

    async fn enter(&self, edition: u32, cursor: Option<Cursor>) -> Result<RebuildStatistics> {
        let page = self.orders.find(Find::all().after(cursor).limit(PAGE_LIMIT_DEFAULT)).await?;
        for order in &page.items {
            self.ledger.enter_into(edition, order).await?;
        }
        Ok(match page.next {
            Some(next) => RebuildStatistics::Enter { edition, cursor: Some(next) },
            None => RebuildStatistics::Publish { edition },
        })
    }

    async fn publish(&self, edition: u32) -> Result<RebuildStatistics> {
        let mut editions = self.ledger.editions().await?;
        if editions.rebuilt == Some(edition) {
            (editions.current, editions.rebuilt) = (edition, None);
            self.ledger.editions.save(&mut editions)?;
        } else if editions.current != edition {
            let detail = "another rebuild began after this one; let it end";
            return Err(Error::conflict("statistics.rebuilt_elsewhere", detail));
        }
        Ok(RebuildStatistics::Clear)
    }

    async fn clear(&self) -> Result<Option<RebuildStatistics>> {
        let current = self.ledger.editions().await?.current;
        let former = Find::filter(ENTRY_EDITION.lt(current)).limit(PAGE_LIMIT_MAX);
        let mut entries = self.ledger.entries.find(former).await?.items;
        for entry in &mut entries {
            self.ledger.entries.remove(entry)?;
        }
        let former = Find::filter(TALLY_EDITION.lt(current)).limit(PAGE_LIMIT_MAX);
        let mut tallies = self.ledger.tallies.find(former).await?.items;
        for tally in &mut tallies {
            self.ledger.tallies.remove(tally)?;
        }
        Ok((!entries.is_empty() || !tallies.is_empty()).then_some(RebuildStatistics::Clear))
    }
}
