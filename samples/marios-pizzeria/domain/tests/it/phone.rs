//! A telephone number has one spelling, however it is written.

use pizzeria_domain::customer::Phone;
use proptest::prelude::*;

proptest! {
    #[test]
    fn separators_do_not_make_another_number(
        digits in "[1-9][0-9]{5,14}",
        separators in prop::collection::vec("[ ./-]{0,2}", 15),
        international in any::<bool>(),
    ) {
        let prefix = if international { "+" } else { "" };
        let plain = format!("{prefix}{digits}");
        let written: String = digits.chars().zip(&separators).map(|(digit, gap)| format!("{digit}{gap}")).collect();
        let written = format!(" {prefix}{written} ");
        prop_assert_eq!(written.parse::<Phone>().map(|phone| phone.to_string()), Ok(plain.clone()));
        if international {
            let zeros = format!("00{digits}");
            prop_assert_eq!(zeros.parse::<Phone>().map(|phone| phone.to_string()), Ok(plain));
        }
    }

    #[test]
    fn any_text_is_refused_or_settles_at_once(text in "[+0-9 ()./a-]{0,24}|\\PC*") {
        if let Ok(phone) = text.parse::<Phone>() {
            prop_assert_eq!(phone.as_str().parse::<Phone>(), Ok(phone.clone()));
            let digits = phone.as_str().strip_prefix('+').unwrap_or(phone.as_str());
            prop_assert!((Phone::DIGITS_MIN..=Phone::DIGITS_MAX).contains(&digits.len()));
            prop_assert!(digits.bytes().all(|byte| byte.is_ascii_digit()));
        }
    }
}
