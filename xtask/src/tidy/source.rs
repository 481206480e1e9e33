//! A Rust file in the two views that rules need.
//!
//! A rule that looked at the bare text would find the words in comments, in messages and in its
//! own tests. [`Source::code`] is the text with comments and the contents of literals blanked out,
//! and [`Source::shipped`] is that without `#[cfg(test)]` items; both keep every line where it was.

/// A Rust file, its path relative to the workspace.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
    pub(super) code: String,
    pub(super) shipped: String,
}

impl Source {
    pub(super) fn new(path: &str, text: String) -> Self {
        let code = blank_comments_and_literals(&text);
        let shipped = blank_test_items(&code);
        Self { path: path.replace('\\', "/"), text, code, shipped }
    }

    /// Whether the whole file is a test, a fixture of one, an example or a measurement.
    pub(super) fn is_test(&self) -> bool {
        let rooms = ["/tests/", "/examples/", "/benches/"];
        self.path.starts_with("benches/")
            || self.path.ends_with("/tests.rs")
            || rooms.iter().any(|room| self.path.contains(room))
    }

    /// Whether the file belongs to one of the command lines, which speak to people, or is a build script, which speaks
    /// to cargo.
    pub(super) fn is_command_line(&self) -> bool {
        self.is_below(&["xtask/", "crates/neuroglia-cli/"])
            || (self.path.ends_with("/build.rs") && !self.path.contains("/src/"))
    }

    /// Whether the path begins with one of the prefixes. A prefix without a slash at its end
    /// stands for a room: `src/host` is `src/host.rs` and `src/host/…`, and not `src/hostile.rs`.
    pub(super) fn is_below(&self, rooms: &[&str]) -> bool {
        rooms.iter().any(|room| {
            self.path
                .strip_prefix(room)
                .is_some_and(|rest| room.ends_with('/') || rest.starts_with('/') || rest == ".rs")
        })
    }
}

/// Where `words` stands in `line` as whole words.
pub(super) fn position_of(line: &str, words: &str) -> Option<usize> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(words).map(|(start, _)| start).find(|&start| {
        let (before, after) = (&line[..start], &line[start + words.len()..]);
        let opens = !words.starts_with(is_word) || !before.ends_with(is_word);
        let closes = !words.ends_with(is_word) || !after.starts_with(is_word);
        opens && closes
    })
}

/// Whether `words` stands in `line` as whole words.
pub(super) fn mentions(line: &str, words: &str) -> bool {
    position_of(line, words).is_some()
}

fn blank_comments_and_literals(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let end = match characters[at] {
            '/' if characters.get(at + 1) == Some(&'/') => end_of_line(&characters, at),
            '/' if characters.get(at + 1) == Some(&'*') => end_of_block_comment(&characters, at),
            '"' => end_of_string(&characters, at),
            'r' if !follows_word(&characters, at) => end_of_raw_string(&characters, at),
            '\'' => end_of_character(&characters, at),
            _ => at,
        };
        if end == at {
            code.push(characters[at]);
            at += 1;
        } else {
            let blank = |&character: &char| match character {
                '\n' | '"' => character,
                _ => ' ',
            };
            code.extend(characters[at..end].iter().map(blank));
            at = end;
        }
    }
    code
}

fn end_of_line(characters: &[char], start: usize) -> usize {
    let length = characters[start..].iter().position(|&character| character == '\n');
    length.map_or(characters.len(), |length| start + length)
}

fn end_of_block_comment(characters: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while at < characters.len() {
        match (characters[at], characters.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at.min(characters.len())
}

fn end_of_string(characters: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < characters.len() {
        match characters[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    characters.len()
}

/// The end of `r"…"` or `r#"…"#`; `start` itself when it is a raw identifier or a plain `r`.
fn end_of_raw_string(characters: &[char], start: usize) -> usize {
    let hashes = characters[start + 1..].iter().take_while(|&&character| character == '#').count();
    let open = start + 1 + hashes;
    if characters.get(open) != Some(&'"') {
        return start;
    }
    let closes = |at: usize| {
        characters[at] == '"'
            && characters.len() > at + hashes
            && characters[at + 1..=at + hashes].iter().all(|&character| character == '#')
    };
    (open + 1..characters.len()).find(|&at| closes(at)).map_or(characters.len(), |at| at + 1 + hashes)
}

/// The end of `'x'` or `'\n'`; `start` itself when it is a lifetime.
fn end_of_character(characters: &[char], start: usize) -> usize {
    match (characters.get(start + 1), characters.get(start + 2)) {
        (Some('\\'), _) => {
            let length = characters[start + 3..].iter().position(|&character| character == '\'');
            length.map_or(characters.len(), |length| start + 4 + length)
        }
        (Some(_), Some('\'')) => start + 3,
        _ => start,
    }
}

/// Whether the `r` at `at` is the tail of a word other than the prefixes `b` and `c`.
fn follows_word(characters: &[char], at: usize) -> bool {
    let is_word = |character: &char| character.is_alphanumeric() || *character == '_';
    let before = characters[..at].iter().rev().take_while(|character| is_word(character));
    !matches!(before.collect::<String>().as_str(), "" | "b" | "c")
}

fn blank_test_items(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut shipped = code.to_owned();
    while let Some(start) = shipped.find(MARK) {
        let end = start + MARK.len() + end_of_item(&shipped[start + MARK.len()..]);
        let blank: String =
            shipped[start..end].chars().map(|character| if character == '\n' { '\n' } else { ' ' }).collect();
        shipped.replace_range(start..end, &blank);
    }
    shipped
}

/// The length of the item at the start of `code`: to its semicolon or its closing brace.
fn end_of_item(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, character) in code.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank_and_lines_stay() {
        let source = Source::new(
            "src/a.rs",
            "//! env::var\nlet a = \"env::var \\\" // \"; /* env::var /* in */\n */ b('\"', '\\'', &'a str);\n\
             let raw = r#\"env::var \" \"#; let r#type = br\"env::var\"; keep"
                .to_owned(),
        );
        assert!(!mentions(&source.code, "env::var"), "{}", source.code);
        assert_eq!(source.code.lines().count(), source.text.lines().count());
        assert!(source.code.contains("&'a str") && source.code.ends_with("keep"), "{}", source.code);
        assert!(source.code.contains("r#type"), "{}", source.code);
    }

    #[test]
    fn test_items_are_not_shipped() {
        let source = Source::new(
            "src/a.rs",
            "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn planted() { { } }\n}\nfn b() {}\n#[cfg(test)]\nuse c;\nfn d() {}\n"
                .to_owned(),
        );
        assert!(!source.shipped.contains("planted") && !source.shipped.contains("use c"));
        assert!(source.shipped.contains("fn b()") && source.shipped.contains("fn d()"));
        assert_eq!(source.shipped.lines().count(), source.text.lines().count());
    }

    #[test]
    fn words_are_whole() {
        assert!(mentions("std::env::var(name)", "env::var"));
        assert!(!mentions("std::env::vars()", "env::var"));
        assert!(!mentions("eprintln!()", "println!"));
    }

    #[test]
    fn a_room_is_a_file_or_a_folder() {
        let below = |path: &str| Source::new(path, String::new()).is_below(&["src/host"]);
        assert!(below("src/host.rs") && below("src/host/boot.rs"));
        assert!(!below("src/hostile.rs"));
    }
}
