//! The effective settings as columns.

use crate::settings::redaction::shortened;
use crate::settings::report::Entry;
use crate::settings::source::Source;

/// A longer value pushes its own line to the right, and no other.
const CELL_CHARS_MAX: usize = 48;
const VALUE_CHARS_MAX: usize = 160;

pub(super) fn render(entries: &[Entry]) -> String {
    let header = ["NAME", "VALUE", "SOURCE", "HELP"].map(String::from);
    let rows: Vec<[String; 4]> = std::iter::once(header).chain(entries.iter().map(row)).collect();
    let width_of = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.filter(|width| *width <= CELL_CHARS_MAX).max().unwrap_or(0)
    };
    let widths = [width_of(0), width_of(1), width_of(2)];
    let mut table = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(cell);
            let padding = width.saturating_sub(cell.chars().count());
            line.extend(std::iter::repeat_n(' ', padding + 2));
        }
        line.push_str(&row[3]);
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

fn row(entry: &Entry) -> [String; 4] {
    let variable = &entry.variable;
    let value = entry.value.as_deref().unwrap_or("-");
    let source = match &entry.source {
        Source::Environment { variable: name } if name == variable.name() => String::from("environment"),
        other => other.to_string(),
    };
    let value = if value.is_empty() { "\"\"" } else { value };
    let value = shortened(value, VALUE_CHARS_MAX).into_owned();
    [variable.name().to_owned(), value, source, variable.summary()]
}
