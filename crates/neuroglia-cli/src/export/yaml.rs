//! YAML, as far as manifests need it: maps, lists and scalars, which are always told apart rightly.
//!
//! A text stands in quotes whenever it could be taken for anything else, so that no value of a deploy can change what a
//! manifest says.

use std::fmt::Write;

/// A piece of YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Yaml {
    Text(String),
    Number(u64),
    Bool(bool),
    List(Vec<Yaml>),
    Map(Vec<(String, Yaml)>),
}

/// A map in this order; what is `None` is left out.
pub(super) fn map<'a>(entries: impl IntoIterator<Item = (&'a str, Option<Yaml>)>) -> Yaml {
    let entries = entries.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Yaml::Map(entries.collect())
}

pub(super) fn list(items: impl IntoIterator<Item = impl Into<Yaml>>) -> Yaml {
    Yaml::List(items.into_iter().map(Into::into).collect())
}

impl From<&str> for Yaml {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Yaml {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Yaml {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for Yaml {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u16> for Yaml {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

/// A document, behind a comment.
pub(super) fn document(comment: &str, root: &Yaml) -> String {
    let mut text = format!("# {comment}\n");
    write_block(&mut text, root, 0);
    text
}

/// Writes a piece at the beginning of a line.
fn write_block(text: &mut String, yaml: &Yaml, indent: usize) {
    match yaml {
        Yaml::Map(entries) => {
            for (key, value) in entries {
                let _ = write!(text, "{:indent$}{}:", "", scalar(key));
                write_value(text, value, indent);
            }
        }
        Yaml::List(items) => {
            for item in items {
                let _ = write!(text, "{:indent$}-", "");
                match item {
                    Yaml::Map(entries) if !entries.is_empty() => {
                        let mut block = String::new();
                        write_block(&mut block, item, indent + 2);
                        text.push_str(&block[indent + 1..]);
                    }
                    other => write_value(text, other, indent),
                }
            }
        }
        flat => {
            let _ = writeln!(text, "{:indent$}{}", "", inline(flat));
        }
    }
}

/// Writes a piece behind a key.
fn write_value(text: &mut String, yaml: &Yaml, indent: usize) {
    match yaml {
        Yaml::Map(entries) if !entries.is_empty() => {
            text.push('\n');
            write_block(text, yaml, indent + 2);
        }
        Yaml::List(items) if items.iter().any(|item| matches!(item, Yaml::Map(_) | Yaml::List(_))) => {
            text.push('\n');
            write_block(text, yaml, indent + 2);
        }
        flat => {
            let _ = writeln!(text, " {}", inline(flat));
        }
    }
}

fn inline(yaml: &Yaml) -> String {
    match yaml {
        Yaml::Text(text) => scalar(text),
        Yaml::Number(number) => number.to_string(),
        Yaml::Bool(value) => value.to_string(),
        Yaml::List(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Yaml::Map(_) => "{}".to_owned(),
    }
}

/// A text, in quotes unless it is a plain word that no reader takes for a number, a truth or nothing.
fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/')
        && text.chars().all(|character| character.is_ascii_alphanumeric() || "-_./".contains(character))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_reads_well() {
        let root = map([
            ("kind", Some("Pod".into())),
            ("none", None),
            ("empty", Some(map([]))),
            ("args", Some(list(["admin", "8000"]))),
            (
                "ports",
                Some(list([
                    map([("name", Some("http".into())), ("port", Some(8000_u16.into()))]),
                    map([("deep", Some(map([("on", Some(true.into()))])))]),
                ])),
            ),
        ]);
        assert_eq!(
            document("made", &root),
            "# made\nkind: Pod\nempty: {}\nargs: [admin, \"8000\"]\nports:\n  - name: http\n    port: 8000\n  - deep:\n      \"on\": true\n"
        );
    }

    #[test]
    fn a_text_stays_a_text_to_every_reader() {
        let texts = [
            "plain",
            "8000",
            "30s",
            "1e3",
            "0x1f",
            "true",
            "No",
            "null",
            "~",
            "",
            " ",
            "- a",
            "a: b",
            "a #b",
            "{a}",
            "\"q\"",
            "it's",
            "@a",
            "*a",
            "&a",
            "!a",
            "%a",
            "a\nb",
            "tab\there",
            "\u{7f}",
            "ünï",
            "2026-11-26",
            ".5",
            "/run/x",
        ];
        let text = document("texts", &list(texts).nested());
        let read = yaml_rust2::YamlLoader::load_from_str(&text).expect("it is YAML");
        let items = read[0]["texts"].as_vec().expect("a list");
        let items: Vec<_> = items.iter().map(|item| item.as_str().expect("a text")).collect();
        assert_eq!(items, texts);
    }

    impl Yaml {
        fn nested(self) -> Self {
            map([("texts", Some(self))])
        }
    }
}
