//! Sizes with their unit.

use std::fmt;
use std::str::FromStr;

/// A number of bytes, written with its unit: `2MiB`, `32KiB`, `10kB`, `512B`.
///
/// ```
/// use neuroglia_core::settings::ByteSize;
///
/// let limit: ByteSize = "2MiB".parse().unwrap();
/// assert_eq!(limit.bytes(), 2 * 1024 * 1024);
/// assert_eq!(limit.to_string(), "2MiB");
/// assert!("2".parse::<ByteSize>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// Every unit with its factor; the binary ones first, the largest first.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl ByteSize {
    /// A number of bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length in memory; the largest possible one where it does not fit.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for ByteSize {
    /// In the largest binary unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let divides = |(_, factor): &&(&str, u64)| self.0 != 0 && self.0.is_multiple_of(*factor);
        let (unit, factor) = UNITS[..4].iter().find(divides).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

/// Why a text is not a size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseByteSizeError(String);

impl fmt::Display for ParseByteSizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseByteSizeError {}

impl FromStr for ByteSize {
    type Err = ParseByteSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        with_unit(text, "B, kB, KiB, MB, MiB, GB, GiB, TB, TiB", "2MiB", |unit| {
            let named = |(name, _): &&(&str, u64)| name.eq_ignore_ascii_case(unit);
            UNITS.iter().find(named).map(|&(_, factor)| factor)
        })
        .map(Self)
        .map_err(ParseByteSizeError)
    }
}

/// A whole number and a unit, multiplied; the message says `has no unit` and so on of a text that is shown before.
pub(super) fn with_unit(
    text: &str,
    units: &str,
    example: &str,
    factor_of: impl Fn(&str) -> Option<u64>,
) -> Result<u64, String> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = (&text[..digits_end], text[digits_end..].trim_start());
    if digits.is_empty() {
        return Err(format!(
            "does not begin with a whole number; write a number and a unit, such as `{example}`"
        ));
    }
    if unit.is_empty() {
        return Err(format!("has no unit; write it with one of {units}, such as `{example}`"));
    }
    let factor = factor_of(unit)
        .ok_or_else(|| format!("has no known unit; the units are {units}, such as `{example}`"))?;
    let count: Option<u64> = digits.parse().ok();
    count.and_then(|count| count.checked_mul(factor)).ok_or_else(|| String::from("is too large"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_are_binary_or_decimal() {
        let table = [
            ("0B", 0),
            ("512B", 512),
            ("10kB", 10_000),
            ("32KiB", 32_768),
            ("32 KiB", 32_768),
            ("2mib", 2_097_152),
            ("1GB", 1_000_000_000),
        ];
        for (text, bytes) in table {
            assert_eq!(text.parse::<ByteSize>().map(ByteSize::bytes), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_unclear_is_refused() {
        for text in [
            "",
            "2",
            "MiB",
            "-1B",
            "1.5MiB",
            "2Mb2",
            "2 M",
            "99999999999999999999B",
            "18446744073709551615KiB",
        ] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(bytes: u64) {
            let size = ByteSize::from_bytes(bytes);
            prop_assert_eq!(size.to_string().parse::<ByteSize>(), Ok(size));
        }

        #[test]
        fn no_text_is_too_much(text: String) {
            let _ = text.parse::<ByteSize>();
        }
    }
}
