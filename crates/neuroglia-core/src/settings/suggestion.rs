//! Variables that nobody declared, and the name that was probably meant.

use std::collections::BTreeSet;

use crate::settings::redaction::{printable, shortened};
use crate::settings::report::Warning;
use crate::settings::source::Environment;
use crate::settings::variable::{Schema, Variable};

/// A name shorter than this resembles too many others.
const LETTERS_MIN: usize = 6;

/// Unknown variables under the application's prefixes, and, elsewhere, near misses of a variable that is not set.
///
/// `own_prefixes` are those that no other program's variables have; `prefixes` are these and the sections'.
pub(super) fn unknown_variables(
    environment: &Environment,
    schema: &Schema,
    own_prefixes: &[&str],
    prefixes: &[&str],
) -> Vec<Warning> {
    let names: BTreeSet<String> = schema.variables().flat_map(Variable::names).map(str::to_owned).collect();
    let known: BTreeSet<String> =
        names.iter().flat_map(|name| [name.clone(), Variable::twin(name)]).collect();
    let unset: BTreeSet<String> = schema
        .variables()
        .filter(|variable| !environment.mentions(variable))
        .flat_map(Variable::names)
        .flat_map(|name| [name.to_owned(), Variable::twin(name)])
        .collect();
    let mut warnings = Vec::new();
    for (name, is_link) in environment.names() {
        if known.contains(name) || is_link {
            continue;
        }
        if prefixes.iter().any(|prefix| name.starts_with(prefix)) {
            let stripped = own_prefixes.iter().find_map(|prefix| name.strip_prefix(prefix));
            let meant = stripped
                .filter(|rest| known.contains(*rest))
                .or_else(|| nearest(name, &known, |letters| (letters / 3).clamp(1, 4)));
            warnings.push(unknown(name, meant));
        } else if let Some(meant) = nearest(name, &unset, |letters| if letters < 8 { 1 } else { 2 }) {
            warnings.push(unknown(name, Some(meant)));
        }
    }
    warnings
}

fn unknown(name: &str, meant: Option<&str>) -> Warning {
    let name = shortened(&printable(name), 100).into_owned();
    Warning {
        code: "unknown",
        what: format!("`{name}` is set, and no setting has this name"),
        at: format!("environment variable {name}"),
        fix: match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => String::from("remove it; `config` prints all settings"),
        },
    }
}

/// The known name that is closest, if it is no further away than a name of its length may be.
fn nearest<'a>(
    name: &str,
    known: &'a BTreeSet<String>,
    distance_max: impl Fn(usize) -> usize,
) -> Option<&'a str> {
    let candidates = known.iter().filter(|candidate| candidate.len() >= LETTERS_MIN);
    let own = letter_set(name);
    let near = candidates.filter_map(|candidate| {
        let limit = distance_max(candidate.len());
        let is_possible =
            candidate.len().abs_diff(name.len()) <= limit && steps_min(own, letter_set(candidate)) <= limit;
        let distance = is_possible.then(|| distance(name.as_bytes(), candidate.as_bytes()))?;
        (distance <= limit).then_some((distance, candidate.as_str()))
    });
    near.min().map(|(_, candidate)| candidate)
}

/// Which letters a name has: a bit for each of those that names of variables are made of.
fn letter_set(name: &str) -> u64 {
    name.bytes().fold(0, |seen, letter| seen | 1 << (letter & 63))
}

/// At least so many steps lie between two names with these letters: one step takes away one letter at most, and brings one
/// at most. Almost every name of the environment is found unlike by it; to measure them all took more than half of a
/// process' start.
fn steps_min(a: u64, b: u64) -> usize {
    (a & !b).count_ones().max((b & !a).count_ones()) as usize
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, other) in b.iter().enumerate() {
            let replaced = above[j] + usize::from(letter != other);
            let mut least = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *letter == b[j - 1] && a[i - 1] == *other {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_name_is_nearer_than_its_letters_say(a in "[A-C_a-c!é]{0,6}", b in "[A-C_a-c!é]{0,6}") {
            prop_assert!(steps_min(letter_set(&a), letter_set(&b)) <= distance(a.as_bytes(), b.as_bytes()));
        }
    }

    #[test]
    fn the_distance_counts_slips_of_the_finger() {
        let table = [
            ("", "", 0),
            ("PORT", "PORT", 0),
            ("DATABSE_URL", "DATABASE_URL", 1),
            ("DATABAES_URL", "DATABASE_URL", 1),
            ("DATABASE_URI", "DATABASE_URL", 1),
            ("", "ABC", 3),
            ("KITTEN", "SITTING", 3),
        ];
        for (a, b, expected) in table {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), expected, "{a} {b}");
            assert_eq!(distance(b.as_bytes(), a.as_bytes()), expected, "{b} {a}");
        }
    }
}
