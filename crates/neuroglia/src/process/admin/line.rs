//! One line of a shell, as words.

/// Splits a line at its spaces; quotes keep what is between them together, and `\\` the next character.
///
/// # Errors
/// When a quote is not closed, or nothing follows the last `\\`.
pub(super) fn words(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        Some(closing) if closing == character => break,
                        Some('\\') if character == '"' => {
                            word.push(characters.next().ok_or("the quote is not closed")?);
                        }
                        Some(inner) => word.push(inner),
                        None => return Err("the quote is not closed"),
                    }
                }
            }
            '\\' => {
                word.get_or_insert_default().push(characters.next().ok_or("nothing follows the last \\")?)
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_shells_do() {
        for (line, expected) in [
            ("", &[][..]),
            ("  seed  ", &["seed"]),
            ("a --name 'Luigi Rossi' \"say \\\"ciao\\\"\"", &["a", "--name", "Luigi Rossi", "say \"ciao\""]),
            ("a\\ b '' c''d", &["a b", "", "cd"]),
            ("'a\\b'", &["a\\b"]),
        ] {
            assert_eq!(
                words(line).as_deref(),
                Ok(expected.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice()),
                "{line}"
            );
        }
        for wrong in ["'a", "\"a\\", "a\\"] {
            assert!(words(wrong).is_err(), "{wrong}");
        }
    }
}
