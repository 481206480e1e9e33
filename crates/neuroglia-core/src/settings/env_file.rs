//! `NAME=value` files.
//!
//! The format is the plain one that every shell and every platform agrees on: one variable a line,
//! `#` comments, optional quotes, nothing is expanded. What cannot be read is an error with its
//! line, never a guess.

use std::path::Path;

/// The variables of a file, in its order.
pub type Variables = Vec<(String, String)>;

/// Reads a file; `Ok(None)` when there is none.
///
/// # Errors
/// All lines that are wrong, each with its number; no value is quoted.
pub fn read_env_file(path: &Path) -> Result<Option<Variables>, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&path.display().to_string(), &text).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

fn parse(shown: &str, text: &str) -> Result<Variables, String> {
    let mut variables = Variables::new();
    let mut faults = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match parse_line(line) {
            Ok((name, _)) if variables.iter().any(|(known, _)| *known == name) => {
                faults.push(format!("{shown}:{}: {name} stands here twice: remove one", index + 1));
            }
            Ok(variable) => variables.push(variable),
            // The line itself is not echoed: it may hold a secret.
            Err(fault) => faults.push(format!("{shown}:{}: {fault}", index + 1)),
        }
    }
    if faults.is_empty() { Ok(variables) } else { Err(faults.join("\n")) }
}

fn parse_line(line: &str) -> Result<(String, String), &'static str> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').ok_or("write NAME=value")?;
    let name = name.trim_end();
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    if name.is_empty() || !name.chars().all(is_name) || name.starts_with(|first: char| first.is_ascii_digit())
    {
        return Err("a name is letters, digits and underscores, and begins with no digit");
    }
    let value = value.trim();
    let value = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let inner = &value[1..];
            let (inner, rest) = inner.split_once(quote).ok_or("the quote is not closed")?;
            let rest = rest.trim_start();
            if !rest.is_empty() && !rest.starts_with('#') {
                return Err("something stands behind the closing quote");
            }
            inner
        }
        _ => value.split_once(" #").map_or(value, |(value, _)| value.trim_end()),
    };
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_format_is_read() {
        let variables = parse(
            "app.env",
            "# comment\n\nA=1\nexport B = two words # why\nC=\"quoted # text\" # why\nD='x=y'\nE=\nF=http://h/#top\n",
        )
        .expect("every line is right");
        let read: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            read,
            [
                ("A", "1"),
                ("B", "two words"),
                ("C", "quoted # text"),
                ("D", "x=y"),
                ("E", ""),
                ("F", "http://h/#top")
            ]
        );
    }

    #[test]
    fn all_faults_are_told_and_no_value_is_echoed() {
        let faults = parse("app.env", "KEY hunter2\n1A=hunter2\nB=\"hunter2\nC=1\nC=hunter2\nD='a'hunter2\n")
            .expect_err("five lines are wrong");
        let lines: Vec<_> = faults.lines().map(|line| line.split(": ").next().unwrap_or_default()).collect();
        assert_eq!(lines, ["app.env:1", "app.env:2", "app.env:3", "app.env:5", "app.env:6"]);
        assert!(!faults.contains("hunter2"), "{faults}");
    }

    #[test]
    fn a_missing_file_is_none() {
        assert_eq!(read_env_file(Path::new("/nonexistent/app.env")), Ok(None));
    }
}
