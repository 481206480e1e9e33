//! Gathers everything that is wrong with a message's content, each with its place and a stable code.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;

use crate::error::{Error, Result, Violation};

/// The checks of one message; all of them are made, and all that fail are reported.
///
/// ```
/// use neuroglia_core::mediation::Checks;
///
/// let mut checks = Checks::default();
/// checks.length("/name", "", 1..=50);
/// checks.range("/quantity", 21, 1..=20);
/// let error = checks.into_result().unwrap_err();
/// let codes: Vec<_> = error.violation_list().iter().map(|violation| &*violation.code).collect();
/// assert_eq!(codes, ["length", "range"]);
/// ```
#[derive(Debug, Default)]
pub struct Checks {
    violations: Vec<Violation>,
}

impl Checks {
    /// Something is wrong at `pointer` (RFC 6901).
    pub fn violation(
        &mut self,
        pointer: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> &mut Self {
        self.violations.push(Violation { pointer: pointer.into(), code: code.into(), detail: detail.into() });
        self
    }

    /// `holds`, or it is a violation.
    pub fn that(
        &mut self,
        holds: bool,
        pointer: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> &mut Self {
        if !holds {
            self.violation(pointer, code, detail);
        }
        self
    }

    /// There is a value. Code `required`.
    pub fn required<T>(&mut self, pointer: impl Into<String>, value: Option<&T>) -> &mut Self {
        self.that(value.is_some(), pointer, "required", "is required")
    }

    /// The text has as many characters as allowed, not counting white space around it. Code `length`.
    pub fn length(
        &mut self,
        pointer: impl Into<String>,
        text: &str,
        allowed: RangeInclusive<usize>,
    ) -> &mut Self {
        let detail = format!("must have between {} and {} characters", allowed.start(), allowed.end());
        self.that(allowed.contains(&text.trim().chars().count()), pointer, "length", detail)
    }

    /// The value is within the range. Code `range`.
    pub fn range<T: PartialOrd + Display>(
        &mut self,
        pointer: impl Into<String>,
        value: T,
        allowed: RangeInclusive<T>,
    ) -> &mut Self {
        let detail = format!("must be between {} and {}", allowed.start(), allowed.end());
        self.that(allowed.contains(&value), pointer, "range", detail)
    }

    /// The text could be an e-mail address: something, an `@`, and a domain with a dot. Code `email`.
    ///
    /// Whether mail arrives there only mail can tell; RFC 5321 limits the length to 254.
    pub fn email(&mut self, pointer: impl Into<String>, text: &str) -> &mut Self {
        let holds = text.len() <= 254
            && !text.contains(|c: char| c.is_whitespace() || c.is_control())
            && text.rsplit_once('@').is_some_and(|(local, domain)| {
                !local.is_empty()
                    && local.len() <= 64
                    && domain.contains('.')
                    && domain.split('.').all(|label| {
                        !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-')
                    })
            });
        self.that(holds, pointer, "email", "must be an e-mail address")
    }

    /// At least one of these groups of checks passes; when none does, the violations of the first count.
    pub fn any_of(&mut self, groups: impl IntoIterator<Item = Self>) -> &mut Self {
        let mut first = None;
        for group in groups {
            if group.violations.is_empty() {
                return self;
            }
            first.get_or_insert(group);
        }
        self.violations.extend(first.map(|group| group.violations).unwrap_or_default());
        self
    }

    /// These checks only when the condition holds.
    pub fn when(&mut self, condition: bool, checks: impl FnOnce(&mut Self)) -> &mut Self {
        if condition {
            checks(self);
        }
        self
    }

    /// The outcome.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::error::ErrorKind::Invalid) with every violation.
    pub fn into_result(self) -> Result<()> {
        if self.violations.is_empty() { Ok(()) } else { Err(Error::violations(self.violations)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(checks: Checks) -> Vec<String> {
        match checks.into_result() {
            Ok(()) => Vec::new(),
            Err(error) => error.violation_list().iter().map(|violation| violation.code.to_string()).collect(),
        }
    }

    #[test]
    fn all_that_fails_is_reported() {
        let mut checks = Checks::default();
        checks.required::<u8>("/a", None).length("/b", " ", 1..=3).range("/c", 0, 1..=2).email("/d", "ada@");
        assert_eq!(codes(checks), ["required", "length", "range", "email"]);
    }

    #[test]
    fn one_of_several_groups_is_enough() {
        let good = || Checks::default();
        let bad = |code: &'static str| {
            let mut bad = Checks::default();
            bad.violation("/x", code, "is bad").violation("/y", code, "is bad as well");
            bad
        };
        for groups in [[bad("one"), good()], [good(), bad("one")]] {
            let mut checks = Checks::default();
            checks.any_of(groups);
            assert!(codes(checks).is_empty());
        }
        let mut checks = Checks::default();
        checks.any_of([bad("one"), bad("other")]).any_of([good()]);
        assert_eq!(codes(checks), ["one", "one"], "those of the first, all of them");
    }

    #[test]
    fn a_conditional_check_is_made_only_then() {
        let mut checks = Checks::default();
        checks.when(false, |checks| {
            checks.violation("/x", "never", "never");
        });
        checks.when(true, |checks| {
            checks.violation("/x", "then", "then");
        });
        assert_eq!(codes(checks), ["then"]);
    }

    #[test]
    fn both_bounds_are_allowed() {
        for (number, is_good) in [(0, false), (1, true), (2, true), (3, false)] {
            let mut checks = Checks::default();
            checks.range("/number", number, 1..=2);
            assert_eq!(codes(checks).is_empty(), is_good, "{number}");
        }
        for (text, is_good) in [("", false), ("é", true), (" éé ", true), ("ééé", false)] {
            let mut checks = Checks::default();
            checks.length("/text", text, 1..=2);
            assert_eq!(codes(checks).is_empty(), is_good, "{text}");
        }
    }

    #[test]
    fn email_addresses() {
        for (text, good) in [
            ("ada@example.com", true),
            ("a.b+c@sub.example.co", true),
            ("ada@example", false),
            ("@example.com", false),
            ("ada@exa mple.com", false),
            ("ada@example..com", false),
            ("ada\r\nbcc: x@example.com", false),
        ] {
            let mut checks = Checks::default();
            checks.email("/email", text);
            assert_eq!(codes(checks).is_empty(), good, "{text}");
        }
    }
}
