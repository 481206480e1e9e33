//! What the cron library asks of a moment in a time zone, answered by jiff.

use std::cmp::Ordering;

use croner::errors::CronError;
use croner::time::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday};
use jiff::civil::DateTime;
use jiff::tz::AmbiguousOffset;
use jiff::{SignedDuration, ZonedDateTime};

/// A moment as the clock on the wall of a zone shows it.
#[derive(Debug, Clone)]
pub(super) struct WallClock(pub(super) ZonedDateTime);

impl CronDateTime for WallClock {
    fn to_civil(&self) -> CivilDateTime {
        let shown = self.0.datetime();
        // jiff keeps every part within its range.
        CivilDateTime::new(
            CivilDate::from_parts_unchecked(
                i32::from(shown.year()),
                u32::from(shown.month().unsigned_abs()),
                u32::from(shown.day().unsigned_abs()),
            ),
            CivilTime::from_parts_unchecked(
                u32::from(shown.hour().unsigned_abs()),
                u32::from(shown.minute().unsigned_abs()),
                u32::from(shown.second().unsigned_abs()),
            ),
        )
    }

    fn civil_weekday(&self) -> Weekday {
        Weekday::from_days_from_sunday(u32::from(self.0.weekday().to_sunday_zero_offset().unsigned_abs()))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let ambiguous = self.0.time_zone().to_ambiguous_zoned_datetime(datetime(civil)?);
        Ok(match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => Resolution::Single(moment(ambiguous.unambiguous())?),
            AmbiguousOffset::Fold { .. } => {
                Resolution::Ambiguous(moment(ambiguous.clone().earlier())?, moment(ambiguous.later())?)
            }
            AmbiguousOffset::Gap { .. } => Resolution::Gap,
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.timestamp().cmp(&other.0.timestamp())
    }
}

fn datetime(civil: CivilDateTime) -> Result<DateTime, CronError> {
    let part = |value: u32| i8::try_from(value).map_err(|_| CronError::InvalidDate);
    let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
    DateTime::new(
        year,
        part(civil.month())?,
        part(civil.day())?,
        part(civil.hour())?,
        part(civil.minute())?,
        part(civil.second())?,
        0,
    )
    .map_err(|_| CronError::InvalidDate)
}

fn moment(zoned: Result<ZonedDateTime, jiff::Error>) -> Result<WallClock, CronError> {
    zoned.map(WallClock).map_err(|_| CronError::InvalidTime)
}
