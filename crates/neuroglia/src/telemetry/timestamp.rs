//! RFC 3339 in UTC with six fractional digits, the calendar consulted once a second.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The length of `2026-03-01T12:00:00.000123Z`.
const LEN: usize = 27;

/// The latest timestamp that was written, kept so that the next one changes only its last digits.
pub(super) struct Timestamp {
    second: Option<u64>,
    text: [u8; LEN],
}

impl Timestamp {
    pub(super) fn new() -> Self {
        Self { second: None, text: *b"1970-01-01T00:00:00.000000Z" }
    }

    /// Spells `now`.
    pub(super) fn at(&mut self, now: SystemTime) -> &[u8; LEN] {
        // A clock before 1970 is not set at all; the epoch says so as well as anything.
        let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let second = since_epoch.as_secs();
        if self.second != Some(second) {
            self.second = Some(second);
            self.spell_second(second);
        }
        let mut micros = since_epoch.subsec_micros();
        for digit in self.text[20..26].iter_mut().rev() {
            *digit = b'0' + (micros % 10) as u8;
            micros /= 10;
        }
        &self.text
    }

    fn spell_second(&mut self, second: u64) {
        let instant = i64::try_from(second).ok().and_then(|second| jiff::Timestamp::from_second(second).ok());
        // Beyond the year 9999 RFC 3339 ends, and the last second it knows stays.
        if let Some(text) = instant.map(|instant| instant.to_string())
            && let Some(text) = text.as_bytes().get(..19)
        {
            self.text[..19].copy_from_slice(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(timestamp: &mut Timestamp, micros: u64) -> String {
        let text = timestamp.at(UNIX_EPOCH + Duration::from_micros(micros));
        String::from_utf8(text.to_vec()).expect("digits")
    }

    #[test]
    fn seconds_and_fractions_are_right_with_and_without_the_cache() {
        let mut timestamp = Timestamp::new();
        assert_eq!(spelled(&mut timestamp, 0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(spelled(&mut timestamp, 1_709_210_096_000_007), "2024-02-29T12:34:56.000007Z");
        assert_eq!(spelled(&mut timestamp, 1_709_210_096_999_999), "2024-02-29T12:34:56.999999Z");
        assert_eq!(spelled(&mut timestamp, 1_709_210_097_120_000), "2024-02-29T12:34:57.120000Z");
        assert_eq!(spelled(&mut timestamp, 1_709_210_096_000_000), "2024-02-29T12:34:56.000000Z");
        assert_eq!(spelled(&mut timestamp, 253_402_128_000_000_000), "9999-12-30T00:00:00.000000Z");
    }

    #[test]
    fn a_clock_outside_the_calendar_does_not_stop_the_log() {
        let mut timestamp = Timestamp::new();
        timestamp.at(UNIX_EPOCH - Duration::from_secs(1));
        timestamp.at(UNIX_EPOCH + Duration::from_secs(1 << 60));
    }
}
