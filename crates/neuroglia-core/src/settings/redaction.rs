//! Text that may be shown: without credentials, without characters that forge a line.

use std::borrow::Cow;

use url::{Position, Url, form_urlencoded};

/// What stands where something was left out.
pub(super) const REDACTED: &str = "<redacted>";

/// A URL without its credentials: the user and password before the host, and the values of query parameters whose
/// names speak of a secret.
///
/// ```
/// use neuroglia_core::settings::redact_url;
///
/// let url = "postgres://mario:mamma-mia@db/pizzeria?sslmode=require&sslpassword=x".parse().unwrap();
/// assert_eq!(redact_url(&url), "postgres://<redacted>@db/pizzeria?sslmode=require&sslpassword=<redacted>");
/// ```
pub fn redact_url(url: &Url) -> String {
    let mut shown = if url.cannot_be_a_base() {
        let opaque = &url[..Position::AfterPath];
        match (opaque.split_once(':'), opaque.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, rest))) => format!("{scheme}:{REDACTED}@{rest}"),
            _ => opaque.to_owned(),
        }
    } else {
        let credentials = if url.username().is_empty() && url.password().is_none() {
            String::new()
        } else {
            format!("{REDACTED}@")
        };
        let (scheme, rest) =
            (&url[..Position::BeforeUsername], &url[Position::BeforeHost..Position::AfterPath]);
        format!("{scheme}{credentials}{rest}")
    };
    if let Some(query) = url.query() {
        let pairs: Vec<_> = query.split('&').map(redact_pair).collect();
        shown.push('?');
        shown.push_str(&pairs.join("&"));
    }
    if let Some(fragment) = url.fragment() {
        shown.push('#');
        shown.push_str(&redact_pair(fragment));
    }
    shown
}

/// Free text without what looks like credentials: `scheme://user:password@` and `password=…`.
///
/// Where a text can be read in two ways, the one that hides more is taken.
pub(super) fn redact_text(text: &str) -> Cow<'_, str> {
    if !text.contains(['@', '=']) {
        return Cow::Borrowed(text);
    }
    let words: String = text.split_inclusive(char::is_whitespace).map(redact_word).collect();
    let is_separator = |c: char| c.is_whitespace() || matches!(c, '&' | '?' | ';' | ',' | '#');
    let mut shown = String::with_capacity(words.len());
    for part in words.split_inclusive(is_separator) {
        let separator = part.chars().next_back().filter(|&c| is_separator(c));
        let pair = part.strip_suffix(is_separator).unwrap_or(part);
        shown.push_str(&redact_pair(pair));
        shown.extend(separator);
    }
    if shown == text { Cow::Borrowed(text) } else { Cow::Owned(shown) }
}

/// Whether a text seems to carry credentials.
pub(super) fn carries_credentials(text: &str) -> bool {
    matches!(redact_text(text), Cow::Owned(_))
}

fn redact_word(word: &str) -> Cow<'_, str> {
    match (word.find("://"), word.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            let (scheme, rest) = (&word[..scheme + 3], &word[at..]);
            Cow::Owned(format!("{scheme}{REDACTED}{rest}"))
        }
        _ => Cow::Borrowed(word),
    }
}

fn redact_pair(pair: &str) -> Cow<'_, str> {
    let Some((key, value)) = pair.split_once('=') else {
        return Cow::Borrowed(pair);
    };
    let decoded: String =
        form_urlencoded::parse(key.as_bytes()).map(|(key, _)| key.to_ascii_lowercase()).collect();
    let speaks_of_secrets = ["auth", "credential", "key", "pass", "pwd", "secret", "sig", "token"];
    if !value.is_empty() && speaks_of_secrets.iter().any(|word| decoded.contains(word)) {
        Cow::Owned(format!("{key}={REDACTED}"))
    } else {
        Cow::Borrowed(pair)
    }
}

/// Text on one line: what would move the cursor, end the line or turn the direction is written as an escape.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if c.is_control() || turns {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// At most so many characters of a text.
pub(super) fn shortened(text: &str, chars_max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_their_credentials() {
        let table = [
            ("postgres://u:p@db:5432/x", "postgres://<redacted>@db:5432/x"),
            ("https://token@git.example/x", "https://<redacted>@git.example/x"),
            ("https://example.com/a@b", "https://example.com/a@b"),
            ("https://example.com/?api_key=abc&page=2", "https://example.com/?api_key=<redacted>&page=2"),
            ("https://example.com/#access_token=abc", "https://example.com/#access_token=<redacted>"),
            ("redis://:p@cache", "redis://<redacted>@cache"),
            ("memory:", "memory:"),
            ("sqlite:///data/pizzeria.db", "sqlite:///data/pizzeria.db"),
            ("amqp:user:pass@host", "amqp:<redacted>@host"),
        ];
        for (url, shown) in table {
            assert_eq!(redact_url(&Url::parse(url).expect("a URL")), shown);
        }
    }

    #[test]
    fn free_text_loses_what_looks_like_credentials() {
        let table = [
            ("plain text", "plain text"),
            ("mario@example.com", "mario@example.com"),
            ("mongodb://u:p,w@h1,h2/db", "mongodb://<redacted>@h1,h2/db"),
            ("a://u:p/w@h?x=1", "a://<redacted>@h?x=1"),
            ("host=db password=hunter2 user=app", "host=db password=<redacted> user=app"),
        ];
        for (text, shown) in table {
            assert_eq!(redact_text(text), shown);
        }
    }

    #[test]
    fn nothing_forges_a_line() {
        assert_eq!(printable("a\nb\u{1b}[2Jc\u{202e}d"), "a\\nb\\u{1b}[2Jc\\u{202e}d");
        assert_eq!(shortened("äöü", 2), "äö…");
        assert_eq!(shortened("äöü", 3), "äöü");
    }
}
