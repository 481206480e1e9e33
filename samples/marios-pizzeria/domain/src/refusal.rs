//! Everything that is wrong with the content of a request, at once.
//!
//! # Codes
//! General rules are one word each: `required`, `range`, `format`, `characters`, `duplicate`, `max_length`,
//! `max_items`. Rules of the pizzeria name their thing as well: `order.empty`, `pizza.unknown`,
//! `pizza.unavailable`, `size.unknown`, `topping.unknown`, `payment.unknown`, `payment.not_accepted`,
//! `payment.card_number`. Clients may match on them, so they do not change.

use std::borrow::Cow;
use std::fmt;

use neuroglia::error::{Error, Violation};

/// A request's content is refused: each [`Violation`] says where, by which rule, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(Vec<Violation>);

impl Refusal {
    /// The refusal of one thing.
    pub fn at(pointer: impl Into<String>, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(vec![Violation { pointer: pointer.into(), code: Cow::Borrowed(code), detail: detail.into() }])
    }

    /// What is wrong, in the order of the request's content.
    pub fn violations(&self) -> &[Violation] {
        &self.0
    }

    /// Both refusals as one, so that parts judged apart are answered together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{} {}", violation.pointer, violation.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::violations(refusal.0)
    }
}

/// Gathers violations while content is judged.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Violation>);

impl Findings {
    pub(crate) fn refuse(
        &mut self,
        pointer: impl Into<String>,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) {
        self.0.push(Violation { pointer: pointer.into(), code: Cow::Borrowed(code), detail: detail.into() });
    }

    /// Judges a text of one line that must say something; gives it without the space around it.
    pub(crate) fn line(&mut self, pointer: impl Into<String>, text: &str, max_chars: usize) -> String {
        let (pointer, text) = (pointer.into(), text.trim());
        if text.is_empty() {
            self.refuse(pointer, "required", "must not be empty");
        } else if text.contains(char::is_control) {
            self.refuse(pointer, "characters", "must be one line without control characters");
        } else {
            self.prose(pointer, text, max_chars);
        }
        text.to_owned()
    }

    /// Judges a text that may be empty or have several lines; gives it without the space around it.
    pub(crate) fn prose(&mut self, pointer: impl Into<String>, text: &str, max_chars: usize) -> String {
        let text = text.trim();
        if text.chars().count() > max_chars {
            self.refuse(pointer, "max_length", format!("must be at most {max_chars} characters"));
        } else if text.chars().any(|c| c.is_control() && c != '\n' && c != '\r' && c != '\t') {
            self.refuse(pointer, "characters", "must not contain control characters");
        }
        text.to_owned()
    }

    /// Takes over what a part has found, and gives the part when it was right.
    pub(crate) fn take<T>(&mut self, judged: Result<T, Refusal>) -> Option<T> {
        judged.map_err(|refusal| self.0.extend(refusal.0)).ok()
    }

    pub(crate) fn verdict(self) -> Result<(), Refusal> {
        if self.0.is_empty() { Ok(()) } else { Err(Refusal(self.0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_becomes_one_error_with_every_violation() {
        let refusal = Refusal::at("/name", "required", "must not be empty").and(Refusal::at(
            "/lines/0/quantity",
            "range",
            "must be between 1 and 20",
        ));
        assert_eq!(
            refusal.to_string(),
            "/name must not be empty; /lines/0/quantity must be between 1 and 20"
        );

        let error = Error::from(refusal);
        assert_eq!(error.kind().status(), 422);
        let pointers: Vec<&str> = error.violation_list().iter().map(|found| &*found.pointer).collect();
        assert_eq!(pointers, ["/name", "/lines/0/quantity"]);
    }

    #[test]
    fn text_is_trimmed_and_judged() {
        let table = [
            ("  Ada ", None),
            (" ", Some("required")),
            ("Ada\nBcc: all", Some("characters")),
            ("Ada\u{0}", Some("characters")),
            ("Adalovelace", Some("max_length")),
        ];
        for (text, code) in table {
            let mut findings = Findings::default();
            let kept = findings.line("/name", text, 10);
            assert_eq!(kept, text.trim(), "{text:?}");
            let found = findings.verdict().err().map(|refusal| refusal.violations()[0].code.clone());
            assert_eq!(found.as_deref(), code, "{text:?}");
        }
    }
}
