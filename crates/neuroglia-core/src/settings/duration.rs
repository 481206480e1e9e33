//! Durations with their unit.

use std::time::Duration;

use crate::settings::size::with_unit;

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// `30s`, `500ms`, `5m`, `1h`, `2d`.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    with_unit(text, "ms, s, m, h, d", "30s", |unit| {
        UNITS.iter().find(|(name, _)| *name == unit).map(|&(_, millis)| millis)
    })
    .map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_duration_says_its_unit() {
        let table = [
            ("0s", Duration::ZERO),
            ("500ms", Duration::from_millis(500)),
            ("30s", Duration::from_secs(30)),
            ("5m", Duration::from_secs(300)),
            ("1h", Duration::from_secs(3_600)),
            ("2d", Duration::from_secs(172_800)),
        ];
        for (text, duration) in table {
            assert_eq!(parse(text), Ok(duration), "{text}");
        }
        for text in ["", "0", "30", "s", "-1s", "1.5s", "1h30m", "30S", "5 min", "18446744073709551615d"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_count_of_any_unit_is_read_back(count in 0..u64::from(u32::MAX), unit in 0..UNITS.len()) {
            let (name, millis) = UNITS[unit];
            prop_assert_eq!(parse(&format!("{count}{name}")), Ok(Duration::from_millis(count * millis)));
        }

        #[test]
        fn no_text_is_too_much(text: String) {
            let _ = parse(&text);
        }
    }
}
