//! Escaping that leaves no byte through which a value could act as anything but a value.
//!
//! Escaped are the quotation mark and the backslash, every control character of ASCII and Latin-1 (line ends,
//! terminal escapes), and the invisible characters of Unicode that end a line or reorder what a person reads.
//! In JSON all of it is lossless: a parser gives the original text back.

use std::fmt;

/// The most bytes of one value that reach a line.
pub(super) const VALUE_BYTES_MAX: usize = 16 * 1024;

/// Follows a value that was cut.
const CUT: &str = "…";

/// What the text is going to stand in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// Between quotation marks.
    Quoted,
    /// In the open, for a person; quotation marks and backslashes mean themselves.
    Bare,
}

/// Appends `text`, at most [`VALUE_BYTES_MAX`] of it.
pub(super) fn push_text(line: &mut Vec<u8>, text: &str, escape: Escape) {
    if text.len() <= VALUE_BYTES_MAX {
        push_escaped(line, text, escape);
    } else {
        push_escaped(line, &text[..text.floor_char_boundary(VALUE_BYTES_MAX)], escape);
        line.extend_from_slice(CUT.as_bytes());
    }
}

/// Appends what `value` displays, at most [`VALUE_BYTES_MAX`] of it, without an intermediate string.
pub(super) fn push_format(line: &mut Vec<u8>, value: fmt::Arguments<'_>, escape: Escape) {
    let mut escaped = Escaped { line, escape, budget_bytes: VALUE_BYTES_MAX };
    // An error is either our own signal that the budget is spent, or a `Debug` implementation that gave up;
    // what it wrote so far is worth keeping in both cases.
    let complete = fmt::write(&mut escaped, value).is_ok();
    if !complete {
        line.extend_from_slice(CUT.as_bytes());
    }
}

struct Escaped<'a> {
    line: &'a mut Vec<u8>,
    escape: Escape,
    budget_bytes: usize,
}

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() <= self.budget_bytes {
            self.budget_bytes -= text.len();
            push_escaped(self.line, text, self.escape);
            return Ok(());
        }
        push_escaped(self.line, &text[..text.floor_char_boundary(self.budget_bytes)], self.escape);
        self.budget_bytes = 0;
        Err(fmt::Error)
    }
}

fn push_escaped(line: &mut Vec<u8>, text: &str, escape: Escape) {
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at(plain_len(rest.as_bytes()));
        line.extend_from_slice(plain.as_bytes());
        let mut chars = special.chars();
        match chars.next() {
            Some(character) => push_char(line, character, escape),
            None => return,
        }
        rest = chars.as_str();
    }
}

/// The length of the leading run of printable ASCII that needs no escape, eight bytes at a time.
fn plain_len(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        if let Some(offset) = first_special(*word) {
            return index * 8 + offset;
        }
    }
    // The last word overlaps what was just found plain, which is cheaper than a loop over the rest.
    let last =
        bytes.last_chunk::<8>().map(|word| first_special(*word).map(|offset| bytes.len() - 8 + offset));
    let is_special = |byte: &u8| !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\');
    last.unwrap_or_else(|| tail.iter().position(is_special)).unwrap_or(bytes.len())
}

fn first_special(word: [u8; 8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH_BITS: u64 = ONES << 7;

    let word = u64::from_le_bytes(word);
    // Each term sets the high bit of a byte that is below a space, a quotation mark, a backslash, DEL or not
    // ASCII. A borrow or carry reaches only bytes above one that is marked already, so the lowest mark is exact.
    let control = word.wrapping_sub(ONES * 0x20);
    let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let beyond = word | word.wrapping_add(ONES);
    let marks = (control | quote | backslash | beyond) & HIGH_BITS;
    (marks != 0).then(|| (marks.trailing_zeros() / 8) as usize)
}

fn push_char(line: &mut Vec<u8>, character: char, escape: Escape) {
    match character {
        '"' if escape == Escape::Quoted => line.extend_from_slice(br#"\""#),
        '\\' if escape == Escape::Quoted => line.extend_from_slice(br"\\"),
        '\n' => line.extend_from_slice(br"\n"),
        '\r' => line.extend_from_slice(br"\r"),
        '\t' => line.extend_from_slice(br"\t"),
        _ if character.is_control() || is_deceptive(character) => push_unicode_escape(line, character),
        _ => line.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

fn push_unicode_escape(line: &mut Vec<u8>, character: char) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for unit in character.encode_utf16(&mut [0; 2]) {
        let digit = |shift: u32| DIGITS[usize::from(*unit >> shift & 0xf)];
        line.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
    }
}

/// Line and paragraph separators, zero-width characters and those that turn the direction of the text.
fn is_deceptive(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str, escape: Escape) -> String {
        let mut line = Vec::new();
        push_text(&mut line, text, escape);
        String::from_utf8(line).expect("escaping keeps UTF-8")
    }

    #[test]
    fn a_special_byte_is_found_at_every_offset_of_a_word() {
        for special in ["\"", "\\", "\0", "\x1f", "\x7f", "é", "\u{10ffff}"] {
            for before in 0..20 {
                for after in [0, 1, 9] {
                    let text = format!("{}{special}{}", "~".repeat(before), " ".repeat(after));
                    assert_eq!(plain_len(text.as_bytes()), before, "{text:?}");
                }
            }
        }
        assert_eq!(plain_len(b"0123456789 ~}![]^_#"), 19);
    }

    #[test]
    fn nothing_that_moves_a_cursor_or_ends_a_line_is_left() {
        let hostile = "a\nb\r\t\u{1b}[31m\u{9b}0m\u{85}\u{2028}\u{202e}\"\\\0";
        assert_eq!(
            escaped(hostile, Escape::Quoted),
            r#"a\nb\r\t\u001b[31m\u009b0m\u0085\u2028\u202e\"\\\u0000"#
        );
        assert_eq!(escaped(r#"C:\"x""#, Escape::Bare), r#"C:\"x""#);
        assert_eq!(escaped("crème brûlée 🍕", Escape::Quoted), "crème brûlée 🍕");
    }

    #[test]
    fn a_long_value_is_cut_at_a_character() {
        let text = "é".repeat(VALUE_BYTES_MAX);
        let cut = escaped(&text, Escape::Quoted);
        assert_eq!(cut.len(), VALUE_BYTES_MAX + CUT.len());
        assert!(cut.ends_with("é…"));

        let mut line = Vec::new();
        push_format(&mut line, format_args!("{:?}", vec![7; VALUE_BYTES_MAX]), Escape::Quoted);
        assert_eq!(line.len(), VALUE_BYTES_MAX + CUT.len());
    }
}
