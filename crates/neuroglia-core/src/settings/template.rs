//! An `.env.example`, written from the declarations alone: the same program gives the same text.

use crate::settings::redaction::redact_text;
use crate::settings::variable::{Schema, Variable};

const HEAD: &str = "\
# Every variable of the application. One that is commented out has a default, or may stay unset.
# Instead of any NAME, NAME_FILE can name a file that holds the value; set one of the two.
";

pub(super) fn render(schema: &Schema) -> String {
    let mut template = String::from(HEAD);
    for variable in schema.variables() {
        template.push('\n');
        for line in variable.help_text().lines() {
            template.push_str(format!("# {line}").trim_end());
            template.push('\n');
        }
        template.push_str(&format!("# ({})\n{}\n", facts(variable), assignment(variable)));
    }
    template
}

/// Type, bounds, whether it must be set, other names.
fn facts(variable: &Variable) -> String {
    let form = variable.form();
    let mut facts = vec![match form.type_name.as_ref() {
        "text" if form.secret => String::from("secret"),
        other if form.secret => format!("secret {other}"),
        other => other.to_owned(),
    }];
    if let Some(bytes) = variable.bytes_min() {
        facts.push(format!("at least {bytes} bytes"));
    }
    let default = variable.default_text().filter(|_| !form.secret).map(redact_text);
    facts.push(match (default, variable.only_with()) {
        (Some(default), _) if default.is_empty() => String::from("empty by default"),
        (Some(default), _) => format!("default {default}"),
        (None, Some(section)) if !form.optional => format!("required with {section}"),
        (None, _) if variable.is_required() => String::from("required"),
        (None, _) => String::from("optional"),
    });
    let others: Vec<&str> = variable.names().skip(1).collect();
    if !others.is_empty() {
        facts.push(format!("also {}", others.join(", ")));
    }
    facts.join("; ")
}

fn assignment(variable: &Variable) -> String {
    let name = variable.name();
    if variable.form().secret {
        let twin = format!("# {name}_FILE={}\n", variable.secret_path());
        let mark = if variable.is_required() { "" } else { "#" };
        return format!("{twin}{mark}{name}=");
    }
    if variable.is_required() {
        return format!("{name}={}", quoted(variable.example_text()));
    }
    let text = variable.default_text().unwrap_or(variable.example_text());
    format!("#{name}={}", quoted(&redact_text(text)))
}

/// A value as a line of an env file takes it.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:@%+,?=&".contains(c);
    if text.chars().all(is_plain) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' | '$' | '`' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_quoted_where_an_env_file_needs_it() {
        assert_eq!(quoted("sqlite:///data/x.db?mode=rwc"), "sqlite:///data/x.db?mode=rwc");
        assert_eq!(quoted("two words"), "\"two words\"");
        assert_eq!(quoted("a\"b\\$c\nd"), "\"a\\\"b\\\\\\$c\\nd\"");
        assert_eq!(quoted("#1"), "\"#1\"");
    }
}
