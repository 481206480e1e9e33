//! The books of the statistics: what each order has contributed, and the sums of that.
//!
//! An order contributes its figures as of a version. A newer version replaces what an older one contributed, and
//! an older one changes nothing; so it does not matter how often, or in which order, an order is entered. An order
//! counts in the hour at which it was placed, on the clock of the pizzeria.
//!
//! Sums are kept in [`SHARDS`] parts, so that orders that change at once seldom meet.
//!
//! There can be two editions of the books: the one that is read, and one that is being rebuilt. Whatever happens to an
//! order while a rebuild runs is entered into both. What an entry missed because it began before the rebuild did,
//! the rebuild finds: the order was committed by then.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use neuroglia::data::{Field, PAGE_LIMIT_MAX, Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::domain::{Aggregate, Root};
use neuroglia::error::Result;
use neuroglia::schedule::Zone;
use pizzeria_domain::order::Order;
use serde::{Deserialize, Serialize};

use super::day::{Day, hour_at};
use super::figures::Figures;

/// In how many parts each sum is kept.
const SHARDS: u8 = 8;

pub(super) const ENTRY_EDITION: Field<Entry, u32> = Field::new("edition");
pub(super) const TALLY_EDITION: Field<Tally, u32> = Field::new("edition");
const TALLY_DAY: Field<Tally, String> = Field::new("day");

/// The id of the one register of editions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EditionsId;

impl fmt::Display for EditionsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("editions")
    }
}

/// Which edition of the books is read, and which is being rebuilt.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Editions {
    pub(super) current: u32,
    pub(super) rebuilt: Option<u32>,
    /// The last that was begun.
    pub(super) last: u32,
    #[serde(skip)]
    root: Root,
}

/// What an order has contributed to an edition.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    id: String,
    edition: u32,
    /// The version of the order whose figures these are.
    version: u64,
    figures: Figures,
    #[serde(skip)]
    root: Root,
}

/// A part of the sums of an edition, of one day or of all.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Tally {
    id: String,
    edition: u32,
    /// None for all days.
    day: Option<String>,
    figures: Figures,
    /// By hour of the day.
    #[serde(default)]
    hours: BTreeMap<String, Figures>,
    #[serde(skip)]
    root: Root,
}

impl Aggregate for Editions {
    type Id = EditionsId;
    const COLLECTION: &'static str = "statistics_editions";

    fn id(&self) -> &EditionsId {
        &EditionsId
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}

impl Aggregate for Entry {
    type Id = String;
    const COLLECTION: &'static str = "statistics_entries";

    fn id(&self) -> &String {
        &self.id
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}

impl Aggregate for Tally {
    type Id = String;
    const COLLECTION: &'static str = "statistics_tallies";

    fn id(&self) -> &String {
        &self.id
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}

/// Enters orders into the books, and reads the sums.
#[derive(Inject)]
pub struct Ledger {
    pub(super) editions: Repository<Editions>,
    pub(super) entries: Repository<Entry>,
    pub(super) tallies: Repository<Tally>,
    zone: Arc<Zone>,
}

impl Ledger {
    /// Enters an order, as it stands, into the edition that is read and into the one that is being rebuilt.
    pub(super) async fn enter(&self, order: &Order) -> Result<()> {
        let editions = self.editions().await?;
        self.enter_into(editions.current, order).await?;
        match editions.rebuilt {
            Some(edition) => self.enter_into(edition, order).await,
            None => Ok(()),
        }
    }

    /// Enters an order, as it stands, into one edition.
    pub(super) async fn enter_into(&self, edition: u32, order: &Order) -> Result<()> {
        let id = format!("{edition}.{}", order.id());
        let known = self.entries.get(&id).await?;
        if known.as_ref().is_some_and(|entry| entry.version >= order.version()) {
            return Ok(());
        }
        let root = Root::default();
        let mut entry = known.unwrap_or(Entry { id, edition, version: 0, figures: Figures::default(), root });
        let former = std::mem::replace(&mut entry.figures, Figures::of(order));
        entry.version = order.version();
        self.count(&entry, &former, order).await?;
        self.entries.save(&mut entry)
    }

    async fn count(&self, entry: &Entry, former: &Figures, order: &Order) -> Result<()> {
        let (day, hour) = (Day::at(&self.zone, order.placed_at()), hour_at(&self.zone, order.placed_at()));
        let shard = order.id().as_uuid().as_bytes()[15] % SHARDS;

        let mut total = self.tally(entry.edition, shard, None).await?;
        total.figures -= former;
        total.figures += &entry.figures;
        self.tallies.save(&mut total)?;

        let mut daily = self.tally(entry.edition, shard, Some(&day.to_string())).await?;
        let (former, figures) = (former.flow(), entry.figures.flow());
        for sums in [&mut daily.figures, daily.hours.entry(hour).or_default()] {
            *sums -= &former;
            *sums += &figures;
        }
        self.tallies.save(&mut daily)
    }

    async fn tally(&self, edition: u32, shard: u8, day: Option<&str>) -> Result<Tally> {
        let id = format!("{edition}.{shard}.{}", day.unwrap_or("all"));
        let known = self.tallies.get(&id).await?;
        Ok(known.unwrap_or_else(|| Tally {
            id,
            edition,
            day: day.map(ToOwned::to_owned),
            figures: Figures::default(),
            hours: BTreeMap::new(),
            root: Root::default(),
        }))
    }

    pub(super) async fn editions(&self) -> Result<Editions> {
        Ok(self.editions.get(&EditionsId).await?.unwrap_or_default())
    }

    /// The sums of everything.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub(super) async fn totals(&self) -> Result<Figures> {
        let edition = self.editions().await?.current;
        let mut totals = Figures::default();
        for shard in 0..SHARDS {
            totals += &self.tally(edition, shard, None).await?.figures;
        }
        Ok(totals)
    }

    /// The sums of each day from the first to the last, or of each hour of them: `2026-11-26`, `2026-11-26T04`.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub(super) async fn series(
        &self,
        (first, last): (&str, &str),
        by_hour: bool,
    ) -> Result<BTreeMap<String, Figures>> {
        let days =
            TALLY_EDITION.eq(self.editions().await?.current).and(TALLY_DAY.ge(first)).and(TALLY_DAY.le(last));
        let mut series: BTreeMap<String, Figures> = BTreeMap::new();
        let mut cursor = None;
        loop {
            let find = Find::filter(days.clone()).after(cursor).limit(PAGE_LIMIT_MAX);
            let page = self.tallies.find(find).await?;
            for tally in page.items {
                let day = tally.day.unwrap_or_default();
                if by_hour {
                    for (hour, figures) in &tally.hours {
                        *series.entry(format!("{day}T{hour}")).or_default() += figures;
                    }
                } else {
                    *series.entry(day).or_default() += &tally.figures;
                }
            }
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(series),
            }
        }
    }
}
