//! Secrets that are none: known to everybody, or without anything to guess.

/// Words that examples, tutorials and default installations use, in lower case, letters and digits only. A word
/// followed by digits (`password1`, `changeme2024`) is as well known as the word.
const WELL_KNOWN: [&str; 47] = [
    "abcd",
    "admin",
    "adminpassword",
    "apikey",
    "changeit",
    "changeme",
    "default",
    "demo",
    "dev",
    "development",
    "devkey",
    "devsecret",
    "dummy",
    "example",
    "foo",
    "foobar",
    "guest",
    "hunter",
    "insecure",
    "jwtsecret",
    "jwtsecretkey",
    "key",
    "letmein",
    "local",
    "mysecret",
    "mysecretkey",
    "none",
    "null",
    "p4ssw0rd",
    "pa55word",
    "pass",
    "passw0rd",
    "password",
    "pkliveabc",
    "qwerty",
    "root",
    "sample",
    "secret",
    "secretkey",
    "sktestabc",
    "skliveabc",
    "supersecret",
    "test",
    "testing",
    "testkey",
    "testsecret",
    "token",
];

/// Phrases that only a placeholder contains.
const PLACEHOLDERS: [&str; 11] = [
    "changein",
    "changeme",
    "changethis",
    "donotuse",
    "insertyour",
    "mariosecret",
    "notforproduction",
    "placeholder",
    "replaceme",
    "replacethis",
    "yoursecret",
];

/// Fewer different characters than this, in a text of [`LONG`] characters or more, are not random.
const DISTINCT_MIN: usize = 5;
const LONG: usize = 16;

/// Why a secret is refused, as a phrase that continues its name and says nothing of its content.
pub(super) fn weakness(secret: &str) -> Option<&'static str> {
    let letters: String =
        secret.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let word = letters.trim_end_matches(|c: char| c.is_ascii_digit());
    if WELL_KNOWN.contains(&letters.as_str()) || WELL_KNOWN.contains(&word) {
        return Some("is a well-known value; anybody can guess it");
    }
    let is_bracketed = |open: &str, close: &str| secret.starts_with(open) && secret.ends_with(close);
    if PLACEHOLDERS.iter().any(|phrase| letters.contains(phrase))
        || is_bracketed("<", ">")
        || is_bracketed("${", "}")
        || is_bracketed("{{", "}}")
    {
        return Some("is a placeholder, not a secret");
    }
    let characters: Vec<char> = secret.chars().collect();
    if word.is_empty() && characters.len() < LONG {
        return Some("has too little in it to guess");
    }
    if is_repetition(&characters) {
        return Some("repeats itself; it is easy to guess");
    }
    if is_sequence(&characters) {
        return Some("is a plain sequence; it is easy to guess");
    }
    let mut distinct = characters.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if characters.len() >= LONG && distinct.len() < DISTINCT_MIN {
        return Some("has too few different characters; it is easy to guess");
    }
    None
}

/// Whether the text is one shorter text again and again, the last time perhaps cut short.
fn is_repetition(characters: &[char]) -> bool {
    let repeats_every = |period: usize| characters.iter().zip(&characters[period..]).all(|(a, b)| a == b);
    (1..=characters.len() / 2).any(repeats_every)
}

/// Whether most characters are the one after, or before, their neighbour: `0123456789abcdef…` jumps once.
fn is_sequence(characters: &[char]) -> bool {
    let pairs = characters.len().saturating_sub(1);
    let steps_by = |step: i64| {
        let follows = |pair: &&[char]| i64::from(u32::from(pair[1])) - i64::from(u32::from(pair[0])) == step;
        characters.windows(2).filter(follows).count() * 4 >= pairs * 3
    };
    characters.len() > 2 && (steps_by(1) || steps_by(-1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_knows_is_refused() {
        let refused = [
            "secret",
            "SECRET",
            "changeme",
            "Change-Me!",
            "password",
            "password1",
            "Passw0rd",
            "test",
            "dev-secret",
            "test_key_123",
            "pk_live_abc123",
            "demo123",
            "demo",
            "mario-secret-key-change-in-production",
            "please-change-this-to-something-else",
            "<your key here>",
            "${JWT_SECRET_KEY}",
            "your-secret-key-here-at-least-32-bytes",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "0123456789abcdefghijklmnopqrstuvwxyz",
            "0000",
            "7",
            "secretsecretsecretsecretsecretsecret",
            "0123456789abcdef0123456789abcdef",
            "abcdefghijklmnopqrstuvwxyz",
            "12345678",
            "87654321",
            "00000000000000001111111111111112",
        ];
        for secret in refused {
            assert!(weakness(secret).is_some(), "{secret} is weak");
        }
    }

    #[test]
    fn what_was_generated_is_accepted() {
        let accepted = [
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=",
            "correct horse battery staple",
            "sk_live_51H8xq2eZvKYlo2C",
            "8391024756612093",
        ];
        for secret in accepted {
            assert_eq!(weakness(secret), None, "{secret} is strong enough");
        }
    }
}
