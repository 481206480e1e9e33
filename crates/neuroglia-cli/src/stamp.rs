//! The names of builds and releases: the moment they were made, so that the order of names is the order of time.
//!
//! `20261126-182712-345` is in UTC, to the millisecond. It can be read by people, sorted by any tool, and be a label or
//! a part of a file's name wherever such things are wanted. Two that are made at once, or after the clock was set
//! back, still follow each other.

use std::time::Duration;

use neuroglia_core::clock::Timestamp;

/// The shortest distance between two names.
const STEP: Duration = Duration::from_millis(1);

/// A name for now that stands behind `latest`.
pub(crate) fn next(now: Timestamp, latest: Option<&str>) -> String {
    let stamp = stamp(now);
    match latest {
        Some(latest) if *latest >= *stamp => match moment(latest) {
            Some(moment) => self::stamp(moment + STEP),
            // Whatever that is, it was not made here.
            None => stamp,
        },
        _ => stamp,
    }
}

fn stamp(moment: Timestamp) -> String {
    // 2026-11-26T18:27:12.345678Z
    let digits: String = moment.to_string().chars().filter(char::is_ascii_digit).take(17).collect();
    format!("{}-{}-{}", &digits[..8], &digits[8..14], &digits[14..])
}

fn moment(stamp: &str) -> Option<Timestamp> {
    let digits: String = stamp.chars().filter(|character| *character != '-').collect();
    if digits.len() != 17 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| &digits[range];
    let text = format!(
        "{}-{}-{}T{}:{}:{}.{}Z",
        part(0..4),
        part(4..6),
        part(6..8),
        part(8..10),
        part(10..12),
        part(12..14),
        part(14..17)
    );
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_moment_and_comes_behind_the_latest() {
        let now: Timestamp = "2026-11-26T18:27:12.345678Z".parse().expect("a time");
        assert_eq!(next(now, None), "20261126-182712-345");
        assert_eq!(next(now, Some("20261126-182712-344")), "20261126-182712-345");
        assert_eq!(next(now, Some("20261126-182712-345")), "20261126-182712-346");
        assert_eq!(next(now, Some("20261231-235959-999")), "20270101-000000-000", "the clock was set back");
        assert_eq!(next(now, Some("zebra")), "20261126-182712-345");
    }
}
