//! What is done again and again, and when.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use croner::Cron;
use jiff::tz::TimeZone;

use super::wall_clock::WallClock;
use crate::clock::Timestamp;
use crate::di::Inject;
use crate::error::Result;

/// Something that is done at set times, once for each of them, however many schedulers run.
///
/// ```
/// # extern crate neuroglia_core as neuroglia;
/// use std::time::Duration;
/// use neuroglia::di::Inject;
/// use neuroglia::error::Result;
/// use neuroglia::schedule::{Schedule, ScheduledTask, Tick};
///
/// #[derive(Inject)]
/// struct ExpireStaleOrders {}
///
/// impl ScheduledTask for ExpireStaleOrders {
///     const NAME: &'static str = "expire-stale-orders";
///     const SCHEDULE: Schedule = Schedule::every(Duration::from_secs(60));
///
///     async fn run(&self, tick: Tick) -> Result<()> {
///         tracing::info!(due = %tick.due, "looking for stale orders");
///         Ok(())
///     }
/// }
/// ```
pub trait ScheduledTask: Inject {
    /// The stable name, for the store, logs and operators.
    const NAME: &'static str;
    /// When it is done.
    const SCHEDULE: Schedule;
    /// What becomes of times at which nobody was there.
    const MISSED: Missed = Missed::RunOnce;
    /// How long a run may take.
    const TIMEOUT: Duration = Duration::from_secs(5 * 60);

    /// Does it. What it saves is committed together with the end of the run.
    fn run(&self, tick: Tick) -> impl Future<Output = Result<()>> + Send;
}

/// One of the times of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// When it was due.
    pub due: Timestamp,
}

/// What becomes of times at which nobody was there to plan them. A run is never early; there is no bound on how
/// late it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// They are left out, unless the last one is hardly over.
    Skip,
    /// The last one is made up for.
    RunOnce,
    /// The last so many are made up for, each.
    RunAll(u32),
}

/// When a task is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    when: When,
    zone: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Every(Duration),
    Cron(&'static str),
}

impl Schedule {
    /// At every multiple of the interval since the start of 1970 UTC: all nodes agree on the times, whenever they
    /// were started.
    pub const fn every(interval: Duration) -> Self {
        Self { when: When::Every(interval), zone: None }
    }

    /// At the times of a cron pattern with five fields, or six with seconds first, such as `0 4 * * *`, in the
    /// application's [`Zone`].
    ///
    /// When clocks are moved, the rule of Vixie's cron holds: a fixed time that is skipped happens right after the
    /// gap, one that comes twice happens once, at its first coming; patterns with `*` or steps in their hours or
    /// minutes follow the clock on the wall, through both.
    pub const fn cron(pattern: &'static str) -> Self {
        Self { when: When::Cron(pattern), zone: None }
    }

    /// In this zone of the IANA database instead of the application's.
    #[must_use]
    pub const fn in_zone(self, zone: &'static str) -> Self {
        Self { when: self.when, zone: Some(zone) }
    }

    /// The schedule, ready to tell times.
    ///
    /// # Errors
    /// What is wrong with the pattern, the interval or the zone.
    pub fn prepare(&self, home: &Zone) -> Result<Times, String> {
        let zone = match self.zone {
            Some(name) => name.parse::<Zone>()?,
            None => home.clone(),
        };
        match self.when {
            When::Every(interval) => {
                let micros = i64::try_from(interval.as_micros()).ok().filter(|micros| *micros >= 100_000);
                let micros =
                    micros.ok_or_else(|| format!("the interval {interval:?} is not at least 100 ms"))?;
                Ok(Times(Rule::Every { micros }))
            }
            When::Cron(pattern) => {
                let cron = pattern
                    .parse::<Cron>()
                    .map_err(|problem| format!("`{pattern}` is not a cron pattern: {problem}"))?;
                Ok(Times(Rule::Cron { cron: Box::new(cron), zone }))
            }
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.when {
            When::Every(interval) => write!(f, "every {interval:?}")?,
            When::Cron(pattern) => f.write_str(pattern)?,
        }
        self.zone.map_or(Ok(()), |zone| write!(f, " in {zone}"))
    }
}

/// A time zone: a setting, and a service of the application. UTC when not set.
///
/// It is a name of the IANA database, `Europe/Rome`, or a rule as the variable `TZ` of POSIX has it, `CET-1CEST,M3.5.0,M10.5.0/3`.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone {
    zone: TimeZone,
    name: Arc<str>,
}

impl Default for Zone {
    fn default() -> Self {
        Self { zone: TimeZone::UTC, name: "UTC".into() }
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if name == "UTC" {
            // It is the same everywhere; whoever needs no other need not have the database looked for.
            return Ok(Self::default());
        }
        TimeZone::get(name)
            .or_else(|_| TimeZone::posix(name))
            .map(|zone| Self { name: zone.iana_name().unwrap_or(name).into(), zone })
            .map_err(|_| format!("there is no time zone {name}, such as Europe/Rome"))
    }
}

impl Zone {
    /// The day and time of a moment in this zone, as people write it: `2026-11-26 04:00`.
    pub fn local(&self, moment: Timestamp) -> String {
        moment.to_jiff().to_zoned_datetime(self.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// The first moment of the day that a moment is in.
    pub fn start_of_day(&self, moment: Timestamp) -> Timestamp {
        let zoned = moment.to_jiff().to_zoned_datetime(self.zone.clone());
        zoned
            .start_of_day()
            .map_or(moment, |start| Timestamp::from_unix_micros(start.timestamp().as_microsecond()))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The times of a schedule.
#[derive(Debug, Clone)]
pub struct Times(Rule);

#[derive(Debug, Clone)]
enum Rule {
    Every { micros: i64 },
    Cron { cron: Box<Cron>, zone: Zone },
}

impl Times {
    /// The first time after this moment; none when there never is another.
    pub fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Rule::Every { micros } => {
                let multiple = moment.unix_micros().div_euclid(*micros) + 1;
                multiple.checked_mul(*micros).map(Timestamp::from_unix_micros)
            }
            Rule::Cron { cron, zone } => {
                let from = WallClock(moment.to_jiff().to_zoned_datetime(zone.zone.clone()));
                let next = cron.find_next_occurrence(&from, false).ok()?;
                Some(Timestamp::from_unix_micros(next.0.timestamp().as_microsecond()))
            }
        }
    }

    /// The times after `last` up to and including `now` that are to be planned, oldest first. They are looked for from
    /// `now` backwards: of all that were missed, no more are found than are wanted.
    pub fn due(&self, last: Timestamp, now: Timestamp, missed: Missed) -> Vec<Timestamp> {
        let most = match missed {
            Missed::Skip | Missed::RunOnce => 1,
            Missed::RunAll(most) => most as usize,
        };
        let mut due = VecDeque::new();
        let mut found = self.last_until(now, true);
        while let Some(moment) = found.filter(|moment| *moment > last && due.len() < most) {
            due.push_front(moment);
            found = self.last_until(moment, false);
        }
        if missed == Missed::Skip {
            due.retain(|moment| now.since(*moment) <= HARDLY_OVER);
        }
        due.into()
    }

    /// The last time before this moment, or at it where it counts; none when there never was one.
    fn last_until(&self, moment: Timestamp, counts: bool) -> Option<Timestamp> {
        match &self.0 {
            Rule::Every { micros } => {
                let until = moment.unix_micros() - i64::from(!counts);
                Some(Timestamp::from_unix_micros(until.div_euclid(*micros) * micros))
            }
            Rule::Cron { cron, zone } => {
                let from = WallClock(moment.to_jiff().to_zoned_datetime(zone.zone.clone()));
                let last = cron.find_previous_occurrence(&from, counts).ok()?;
                Some(Timestamp::from_unix_micros(last.0.timestamp().as_microsecond()))
            }
        }
    }
}

/// How long a time may be over that is not yet missed: longer than it takes to find another leader.
const HARDLY_OVER: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn times(schedule: Schedule) -> Times {
        schedule.prepare(&Zone::default()).expect("a sound schedule")
    }

    fn days(schedule: Schedule, from: &str, count: usize) -> Vec<String> {
        let times = times(schedule);
        let mut moment = at(from);
        let mut found = Vec::new();
        for _ in 0..count {
            moment = times.next_after(moment).expect("there is always another");
            found.push(moment.to_string());
        }
        found
    }

    #[test]
    fn intervals_are_the_same_whenever_they_are_looked_at() {
        let minute = times(Schedule::every(Duration::from_secs(60)));
        for from in ["2026-11-26T10:00:00Z", "2026-11-26T10:00:59.999999Z"] {
            assert_eq!(minute.next_after(at(from)), Some(at("2026-11-26T10:01:00Z")));
        }
        assert_eq!(minute.next_after(at("2026-11-26T10:01:00Z")), Some(at("2026-11-26T10:02:00Z")));
    }

    #[test]
    fn a_zone_is_a_name_or_a_rule() {
        let schedule = |zone| days(Schedule::cron("0 4 * * *").in_zone(zone), "2026-07-01T12:00:00Z", 1);
        assert_eq!(schedule("Europe/Rome"), schedule("CET-1CEST,M3.5.0,M10.5.0/3"));
        assert_eq!(schedule("<here>-07:13:30"), ["2026-07-01T20:46:30.000000Z"]);
        for text in ["Europe/Rome", "<here>-07:13:30", "UTC"] {
            assert_eq!(text.parse().map(|zone: Zone| zone.to_string()), Ok(text.to_owned()));
        }
        assert!("Europe/Rom".parse::<Zone>().is_err_and(|problem| problem.contains("Europe/Rome")));
    }

    #[test]
    fn a_time_that_is_skipped_in_spring_happens_after_the_gap() {
        let schedule = Schedule::cron("30 2 * * *").in_zone("Europe/Rome");
        assert_eq!(
            days(schedule, "2026-03-28T00:00:00Z", 3),
            ["2026-03-28T01:30:00.000000Z", "2026-03-29T01:00:00.000000Z", "2026-03-30T00:30:00.000000Z"]
        );
    }

    #[test]
    fn a_time_that_comes_twice_in_autumn_happens_once() {
        let schedule = Schedule::cron("30 2 * * *").in_zone("Europe/Rome");
        assert_eq!(
            days(schedule, "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00.000000Z", "2026-10-26T01:30:00.000000Z"]
        );
    }

    #[test]
    fn a_pattern_with_steps_goes_on_through_the_change() {
        let schedule = Schedule::cron("*/30 * * * *").in_zone("Europe/Rome");
        let autumn = days(schedule, "2026-10-25T00:00:00Z", 4);
        assert_eq!(autumn[0], "2026-10-25T00:30:00.000000Z");
        assert_eq!(autumn[3], "2026-10-25T02:00:00.000000Z");
    }

    #[test]
    fn missed_times_are_made_up_for_as_the_task_says() {
        let hourly = times(Schedule::every(Duration::from_secs(3600)));
        let (last, now) = (at("2026-11-26T01:00:00Z"), at("2026-11-26T09:30:00Z"));
        assert_eq!(hourly.due(last, now, Missed::RunOnce), [at("2026-11-26T09:00:00Z")]);
        let all: Vec<_> = hourly.due(last, now, Missed::RunAll(3)).iter().map(ToString::to_string).collect();
        assert_eq!(all.len(), 3);
        assert!(all[0].starts_with("2026-11-26T07:00"));
        assert!(hourly.due(last, now, Missed::Skip).is_empty());
        let just_now = at("2026-11-26T09:00:05Z");
        assert_eq!(hourly.due(last, just_now, Missed::Skip), [at("2026-11-26T09:00:00Z")]);
        assert!(hourly.due(at("2026-11-26T09:00:00Z"), now, Missed::RunAll(9)).is_empty());
    }

    #[test]
    fn of_many_missed_times_only_those_that_are_wanted_are_looked_for() {
        let each_second = times(Schedule::cron("* * * * * *"));
        let (last, now) = (at("2000-01-01T00:00:00Z"), at("2026-11-26T09:30:00Z"));
        // One after another, these would be eight hundred million.
        assert_eq!(each_second.due(last, now, Missed::RunOnce), [now]);
        assert_eq!(each_second.due(last, now, Missed::RunAll(3)).len(), 3);
    }

    /// All times after one moment, up to another, by going forward.
    fn forward(times: &Times, last: Timestamp, now: Timestamp) -> Vec<Timestamp> {
        let next = |moment: &Timestamp| times.next_after(*moment).filter(|next| *next <= now);
        std::iter::successors(next(&last), next).collect()
    }

    /// One field of a pattern, of values up to this one.
    fn field(from: u32, to: u32) -> impl Strategy<Value = String> {
        let value = from..=to;
        prop_oneof![
            Just("*".to_owned()),
            (2..=7_u32).prop_map(|step| format!("*/{step}")),
            proptest::collection::btree_set(value.clone(), 1..3).prop_map(|values| values
                .iter()
                .map(u32::to_string)
                .collect::<Vec<_>>()
                .join(",")),
            (value.clone(), value).prop_map(|(one, other)| format!("{}-{}", one.min(other), one.max(other))),
        ]
    }

    /// Patterns that are about the hours in which clocks are moved more often than others.
    fn pattern() -> impl Strategy<Value = String> {
        let seconds = prop_oneof![3 => Just("0".to_owned()), 1 => Just("0,30".to_owned())];
        let hour = prop_oneof![field(0, 23), field(0, 4)];
        let day = prop_oneof![3 => Just("*".to_owned()), 1 => field(25, 31)];
        let weekday = prop_oneof![3 => Just("*".to_owned()), 1 => field(0, 6)];
        (seconds, field(0, 59), hour, day, weekday).prop_map(|(seconds, minute, hour, day, weekday)| {
            format!("{seconds} {minute} {hour} {day} * {weekday}")
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        #[test]
        fn backwards_the_same_times_are_found_as_forwards(
            pattern in pattern(),
            (zone, moved) in prop_oneof![
                Just(("UTC", "2026-03-29T01:00:00Z")),
                Just(("Europe/Rome", "2026-03-29T01:00:00Z")),
                Just(("Europe/Rome", "2026-10-25T01:00:00Z")),
                Just(("America/New_York", "2026-03-08T07:00:00Z")),
                Just(("America/New_York", "2026-11-01T06:00:00Z")),
                Just(("Australia/Lord_Howe", "2026-10-03T15:30:00Z")),
                Just(("Australia/Lord_Howe", "2026-04-04T15:00:00Z")),
            ],
            before_micros in 0..100_000_000_000_u64,
            span_micros in 0..100_000_000_000_u64,
        ) {
            let cron: Cron = pattern.parse().expect("a pattern");
            let times = Times(Rule::Cron { cron: Box::new(cron), zone: zone.parse().expect("a zone") });
            let last = at(moved) - Duration::from_micros(before_micros);
            let now = last + Duration::from_micros(span_micros);
            let all = forward(&times, last, now);
            let backwards = times.due(last, now, Missed::RunAll(u32::MAX));
            prop_assert_eq!(&backwards, &all, "{} in {} from {} to {}", pattern, zone, last, now);
            let some = times.due(last, now, Missed::RunAll(3));
            prop_assert_eq!(&some, &all[all.len().saturating_sub(3)..]);
        }
    }

    #[test]
    fn what_cannot_be_a_schedule_says_why() {
        let problem = |schedule: Schedule| schedule.prepare(&Zone::default()).err().unwrap_or_default();
        assert!(problem(Schedule::cron("every day")).contains("not a cron pattern"));
        assert!(problem(Schedule::every(Duration::ZERO)).contains("at least 100 ms"));
        assert!(problem(Schedule::cron("0 4 * * *").in_zone("Mars/Base")).contains("no time zone Mars/Base"));
    }
}
