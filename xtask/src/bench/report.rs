//! The marks, the figures, and the page that keeps them.
//!
//! The page is written by people; only what stands between its two markers is written by
//! `cargo xtask bench --save`. A run of some parts keeps what the page has of the others, and each figure has the day on
//! which it was measured.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::iter::once;

use crate::bench::machine::Machine;
use crate::page::Page;
use crate::workspace::{Result, Workspace};

const PAGE: Page = Page { path: "docs/benchmarks.md", command: "cargo xtask bench --save" };

/// What has a mark, in the order of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Get,
    Post,
    GetLogged,
    Dispatch,
    Behaviour,
    Scope,
    Memory,
    Ready,
    Size,
    Messages,
    Latency,
    LatencyTail,
    Jobs,
    SqliteMessages,
    SqliteJobs,
    Order,
    RoundTrips,
    Idle,
    Growth,
    PublishRabbit,
    PublishNats,
    ThroughRabbit,
    Cached,
    MongoCommit,
    CacheHit,
    MemoryOfAll,
    SizeOfAll,
}

/// What a figure has to be, and what it should be.
struct Mark {
    what: What,
    text: &'static str,
    unit: &'static str,
    must: f64,
    aim: f64,
    /// Whether less is worse.
    is_floor: bool,
}

const MARKS: [Mark; 27] = [
    mark(What::Get, "GET pizza, CPU against `floor`, `LOG=off`", "×", 1.15, 1.05),
    mark(What::Post, "POST order, likewise", "×", 1.10, 1.05),
    mark(What::GetLogged, "GET pizza, `LOG=on`, against `floor` with a JSON layer", "×", 1.0, 0.85),
    mark(What::Dispatch, "mediator dispatch without behaviours", "ns", 100.0, 60.0),
    mark(What::Behaviour, "each pass-through behaviour", "ns", 50.0, 30.0),
    mark(What::Scope, "new scope and three scoped services deep", "ns", 250.0, 100.0),
    mark(What::Memory, "idle memory of `marios-pizzeria web`, embedded default", "MB", 12.0, 8.0),
    mark(What::Ready, "CPU until ready, database migrated", "ms", 15.0, 8.0),
    mark(What::Size, "release executable of the sample, stripped", "MB", 15.0, 10.0),
    rate(What::Messages, "events from outbox to handler with one write, PostgreSQL", 3_000.0, 10_000.0),
    mark(What::Latency, "from commit to handled, idle, p50, PostgreSQL", "ms", 10.0, 3.0),
    mark(What::LatencyTail, "the same, p99", "ms", 50.0, 15.0),
    rate(What::Jobs, "no-op jobs through one worker, PostgreSQL", 3_000.0, 10_000.0),
    rate(What::SqliteMessages, "events from outbox to handler with one write, SQLite", 1_500.0, 5_000.0),
    rate(What::SqliteJobs, "no-op jobs through one worker, SQLite", 1_500.0, 5_000.0),
    mark(What::Order, "`POST /orders` with its events, CPU against two inserts by hand", "×", 1.5, 1.2),
    mark(What::RoundTrips, "database round trips in the path of `POST /orders`", "", 4.0, 2.0),
    mark(What::Idle, "round trips of an idle `worker`", "/s", 3.0, 1.0),
    mark(What::Growth, "a claim with 1,000,000 waiting, against 1,000", "×", 2.0, 1.2),
    share(
        What::PublishRabbit,
        "publish with confirm through the relay, RabbitMQ, against the bare client",
        0.7,
        0.9,
    ),
    share(What::PublishNats, "the same, NATS JetStream", 0.7, 0.9),
    rate(
        What::ThroughRabbit,
        "events from outbox through RabbitMQ to handler with one write, PostgreSQL",
        1_500.0,
        5_000.0,
    ),
    mark(What::Cached, "cached read through the port, Redis, CPU against the bare client", "×", 1.3, 1.1),
    mark(What::MongoCommit, "commit on MongoDB's stand-in, CPU against the bare driver", "×", 1.3, 1.1),
    mark(What::CacheHit, "hit of the cache in memory, with parsing", "ns", 200.0, 100.0),
    mark(
        What::MemoryOfAll,
        "idle memory of `marios-pizzeria web`, all drivers compiled in",
        "MB",
        16.0,
        10.0,
    ),
    mark(What::SizeOfAll, "its release executable, stripped", "MB", 25.0, 18.0),
];

/// A part of what a bare program does, that is to be large.
const fn share(what: What, text: &'static str, must: f64, aim: f64) -> Mark {
    Mark { what, text, unit: "×", must, aim, is_floor: true }
}

/// A figure that is to be large.
const fn rate(what: What, text: &'static str, must: f64, aim: f64) -> Mark {
    Mark { what, text, unit: "/s", must, aim, is_floor: true }
}

const fn mark(what: What, text: &'static str, unit: &'static str, must: f64, aim: f64) -> Mark {
    Mark { what, text, unit, must, aim, is_floor: false }
}

impl Mark {
    fn row(&self, measured: Option<f64>) -> [String; 5] {
        let unit = self.unit;
        let (shown, verdict) = match measured {
            None => ("not measured".to_owned(), "–".to_owned()),
            Some(figure) => {
                let digits = match unit {
                    "×" => 3,
                    _ if self.is_floor => 0,
                    _ => 1,
                };
                (format!("{figure:.digits$} {unit}").trim_end().to_owned(), self.judge(figure))
            }
        };
        let sign = if self.is_floor { '≥' } else { '≤' };
        let limit = |limit: f64| format!("{sign} {limit} {unit}").trim_end().to_owned();
        [self.text.to_owned(), limit(self.must), limit(self.aim), shown, verdict]
    }

    fn judge(&self, figure: f64) -> String {
        let keeps = |limit: f64| if self.is_floor { figure >= limit } else { figure <= limit };
        if keeps(self.aim) {
            "✓ aim".to_owned()
        } else if keeps(self.must) {
            "✓ must".to_owned()
        } else {
            format!("✗ missed by {}", percent((figure / self.must - 1.0).abs()))
        }
    }
}

/// What one part measured, and what it was derived from.
#[derive(Default)]
pub(super) struct Figures {
    measured: BTreeMap<What, f64>,
    details: Vec<(String, String)>,
}

impl Figures {
    /// Notes the figure that is held against the mark.
    pub(super) fn record(&mut self, what: What, figure: f64) {
        self.measured.insert(what, figure);
    }

    /// Notes a Markdown table that shows where a figure comes from.
    pub(super) fn detail(&mut self, title: String, table: String) {
        self.details.push((title, table));
    }

    fn details(&self) -> String {
        self.details.iter().fold(String::new(), |mut text, (title, table)| {
            let _ = write!(text, "\n### {title}\n\n{table}\n");
            text
        })
    }
}

/// What the parts of a run measured, each as a whole.
#[derive(Default)]
pub(super) struct Report {
    measured: BTreeMap<What, f64>,
    /// What their figures were derived from.
    parts: BTreeMap<&'static str, String>,
}

impl Report {
    /// Adds what a part measured.
    pub(super) fn add(&mut self, part: &'static str, figures: Figures) {
        self.parts.insert(part, figures.details());
        self.measured.extend(figures.measured);
    }

    /// Every mark with its figure and verdict.
    pub(super) fn table(&self) -> String {
        let head = ["what", "must", "aim", "measured", "verdict"].map(str::to_owned);
        let rows = MARKS.iter().map(|mark| mark.row(self.measured.get(&mark.what).copied()));
        aligned(&once(head).chain(rows).collect::<Vec<_>>())
    }

    /// What the page is to have, which had this before.
    fn section(&self, machine: &Machine, parts: &[&'static str], kept: &str) -> String {
        let (kept_rows, kept_parts) = (rows_of(kept), parts_of(kept));
        let head = ["what", "must", "aim", "measured", "verdict", "on"].map(str::to_owned);
        let rows = MARKS.iter().map(|mark| {
            let measured = self.measured.get(&mark.what).copied();
            let [text, must, aim, shown, verdict] = mark.row(measured);
            match kept_rows.get(text.as_str()) {
                Some([shown, verdict, day]) if measured.is_none() => {
                    [text, must, aim, (*shown).to_owned(), (*verdict).to_owned(), (*day).to_owned()]
                }
                _ => [text, must, aim, shown, verdict, machine.date().to_owned()],
            }
        });
        let table = aligned(&once(head).chain(rows).collect::<Vec<_>>());
        let mut text =
            format!("The last run of `cargo xtask bench --save`: {}.\n\n{table}", machine.summary());
        for part in parts {
            let own = self.parts.get(part).map(|details| details.trim());
            if let Some(details) = own.or_else(|| kept_parts.get(part).copied()) {
                let _ = write!(text, "\n{PART}{part}{PART_END}\n\n{details}\n");
            }
        }
        text
    }
}

/// What stands before the details of a part on the page.
const PART: &str = "<!-- part: ";
const PART_END: &str = " -->";

/// What the page's table has of each mark: the figure, the verdict and the day.
fn rows_of(kept: &str) -> BTreeMap<&str, [&str; 3]> {
    let table = kept.split(PART).next().unwrap_or_default();
    let rows = table.lines().filter_map(|line| line.trim().strip_prefix('|')?.strip_suffix('|'));
    rows.filter_map(|row| match row.split('|').map(str::trim).collect::<Vec<_>>()[..] {
        [text, _, _, shown, verdict, day] => Some((text, [shown, verdict, day])),
        _ => None,
    })
    .collect()
}

/// What the page has of each part.
fn parts_of(kept: &str) -> BTreeMap<&str, &str> {
    let parts = kept.split(PART).skip(1).filter_map(|part| part.split_once(PART_END));
    parts.map(|(name, details)| (name, details.trim())).collect()
}

/// Writes the figures between the markers of the page; of the parts that were not measured it keeps what it has.
///
/// # Errors
/// When the page cannot be read or written, or has no markers.
pub(super) fn save(
    workspace: &Workspace,
    machine: &Machine,
    parts: &[&'static str],
    report: &Report,
) -> Result<()> {
    let kept = PAGE.kept(workspace)?;
    PAGE.write(workspace, &report.section(machine, parts, &kept))
}

/// A Markdown table whose source is readable as it is; the first row is its head.
fn aligned<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (width, cell) in widths.iter().zip(row) {
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
        if index == 0 {
            for width in widths {
                let _ = write!(text, "|{}", "-".repeat(width + 2));
            }
            text.push_str("|\n");
        }
    }
    text
}

/// A share in words for a table.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// The middle of the figures; of an even number, the middle of the middle two.
pub(super) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(sorted[sorted.len() / 2 - 1], upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn a_figure_is_judged_by_aim_and_must() {
        let mark = mark(What::Get, "x", "×", 1.15, 1.05);
        assert_eq!(mark.judge(1.05), "✓ aim");
        assert_eq!(mark.judge(1.1), "✓ must");
        assert_eq!(mark.judge(1.265), "✗ missed by 10 %");
        let rate = rate(What::Jobs, "x", 3_000.0, 10_000.0);
        assert_eq!(rate.judge(12_000.0), "✓ aim");
        assert_eq!(rate.judge(3_000.0), "✓ must");
        assert_eq!(rate.judge(2_400.0), "✗ missed by 20 %");
        assert_eq!(rate.row(Some(2_400.4))[1..4], ["≥ 3000 /s", "≥ 10000 /s", "2400 /s"]);
    }

    #[test]
    fn every_figure_has_one_mark() {
        let table = Report::default().table();
        assert_eq!(table.matches("not measured").count(), MARKS.len());
        let mut order: Vec<What> = MARKS.iter().map(|mark| mark.what).collect();
        order.dedup();
        assert_eq!(order.len(), MARKS.len());
        assert!(order.is_sorted());
    }

    #[test]
    fn a_run_of_one_part_keeps_the_others() {
        let on = |date: &str| Machine::on(date);
        let of = |what, figure, title: &str| {
            let mut figures = Figures::default();
            figures.record(what, figure);
            figures.detail(title.to_owned(), "| a |\n|---|\n| 1 |".to_owned());
            figures
        };
        let parts = ["requests", "sample"];
        let mut first = Report::default();
        first.add("requests", of(What::Get, 1.2, "five rounds"));
        first.add("sample", of(What::Memory, 15.0, "nine starts"));
        let page = first.section(&on("2026-01-01"), &parts, "");
        let mut second = Report::default();
        second.add("sample", of(What::Memory, 11.0, "ten starts"));
        let page = second.section(&on("2026-02-02"), &parts, &page);
        let rows = rows_of(&page);
        assert_eq!(rows[MARKS[0].text], ["1.200 ×", "✗ missed by 4 %", "2026-01-01"]);
        assert_eq!(rows["idle memory of `marios-pizzeria web`, embedded default"][2], "2026-02-02");
        let (rounds, starts) = (page.find("### five rounds"), page.find("### ten starts"));
        assert!(rounds.is_some() && rounds < starts && !page.contains("nine starts"), "{page}");
        assert_eq!(second.section(&on("2026-02-02"), &parts, &page), page);
    }

    #[test]
    fn the_table_is_aligned_and_markdown() {
        let rows = [["what", "must"], ["a × b", "1"]].map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows), "| what  | must |\n|-------|------|\n| a × b | 1    |\n");
    }
}
