//! Days and hours, on the clock of the pizzeria.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use neuroglia::clock::Timestamp;
use neuroglia::schedule::Zone;
use serde::Deserialize;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A day of the calendar, such as `2026-11-26`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Day(Timestamp);

impl Day {
    /// The day that it is there at this moment.
    pub(super) fn at(zone: &Zone, moment: Timestamp) -> Self {
        let local = zone.local(moment);
        local.get(..10).and_then(|day| day.parse().ok()).unwrap_or(Self(Timestamp::UNIX_EPOCH))
    }

    /// So many days before this one.
    pub(super) fn before(self, days: u32) -> Self {
        Self(self.0 - DAY * days)
    }

    /// How many days after another one it is; none when it is not after it.
    pub(super) fn since(self, earlier: Self) -> u64 {
        self.0.since(earlier.0).as_secs() / DAY.as_secs()
    }
}

/// The hour of the day that it is there at this moment, such as `04`.
pub(super) fn hour_at(zone: &Zone, moment: Timestamp) -> String {
    zone.local(moment).get(11..13).unwrap_or("00").to_owned()
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_string().get(..10).unwrap_or_default())
    }
}

impl FromStr for Day {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let day = format!("{text}T00:00:00Z").parse().map(Self);
        day.ok().filter(|day: &Self| day.to_string() == text).ok_or("must be a day such as 2026-11-26")
    }
}

impl TryFrom<String> for Day {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
