//! The keys a line or a span holds already, so that none is written twice.
//!
//! Almost always there is nothing to find: the keys of an event and of the spans around it differ. A word with
//! one bit for each key says so without looking at the names; only when bits meet are the names compared.

/// Names with the place where each field ends, in the order in which they were written.
#[derive(Clone, Default)]
pub(super) struct Keys {
    mask: u64,
    fields: Vec<(&'static str, usize)>,
}

impl Keys {
    pub(super) fn clear(&mut self) {
        self.mask = 0;
        self.fields.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether `name` is among the keys.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.mask & bit(name) != 0 && self.fields.iter().any(|(known, _)| *known == name)
    }

    /// Adds a field whose bytes end at `end`.
    pub(super) fn push(&mut self, name: &'static str, end: usize) {
        self.mask |= bit(name);
        self.fields.push((name, end));
    }

    /// Whether the two certainly have no key in common.
    fn is_disjoint(&self, other: &Keys) -> bool {
        self.mask & other.mask == 0
    }
}

/// Fields in their final form: the bytes as they will stand in a line, and where each begins and ends.
#[derive(Clone, Default)]
pub(super) struct Encoded {
    pub(super) bytes: Vec<u8>,
    pub(super) keys: Keys,
}

impl Encoded {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.keys.clear();
    }

    /// Appends the fields of `other` whose keys are not here yet.
    pub(super) fn append_missing(&mut self, other: &Encoded) {
        if self.keys.is_disjoint(&other.keys) {
            let offset = self.bytes.len();
            self.bytes.extend_from_slice(&other.bytes);
            self.keys.mask |= other.keys.mask;
            self.keys.fields.extend(other.keys.fields.iter().map(|(name, end)| (*name, end + offset)));
            return;
        }
        let mut start = 0;
        for (name, end) in &other.keys.fields {
            if !self.keys.contains(name) {
                self.bytes.extend_from_slice(&other.bytes[start..*end]);
                self.keys.push(name, self.bytes.len());
            }
            start = *end;
        }
    }
}

fn bit(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let at = |index: usize| bytes.get(index).copied().unwrap_or_default() as usize;
    let (middle, last) = (at(bytes.len() / 2), at(bytes.len().wrapping_sub(1)));
    1 << ((bytes.len() + at(0) * 3 + middle * 7 + last * 11) % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(fields: &[(&'static str, &str)]) -> Encoded {
        let mut encoded = Encoded::default();
        for (name, text) in fields {
            encoded.bytes.extend_from_slice(text.as_bytes());
            encoded.keys.push(name, encoded.bytes.len());
        }
        encoded
    }

    #[test]
    fn what_is_there_stays_and_what_is_missing_follows() {
        let mut inner = encoded(&[("a", "a1"), ("b", "b1")]);
        inner.append_missing(&encoded(&[("b", "b2"), ("c", "c2")]));
        inner.append_missing(&encoded(&[("", "_3"), ("d", "d3")]));
        inner.append_missing(&encoded(&[("c", "c4"), ("d", "d4"), ("", "_4"), ("e", "e4")]));
        assert_eq!(inner.bytes, b"a1b1c2_3d3e4");
    }
}
