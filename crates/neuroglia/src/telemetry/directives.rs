//! Which events become lines: the grammar of `LOG_LEVEL`.
//!
//! The syntax is that of `EnvFilter`, `level` and `target=level` and `target[span{field=value}]=level`, separated
//! by commas, with two differences that spare an operator a silent log:
//!
//! - A bare word that is not a level is refused. `EnvFilter` takes `LOG_LEVEL=WARNING` for a target of that name
//!   and drops everything else.
//! - Where no bare level is given, errors of all targets are logged, a panic among them.
//!
//! The cheapest filter that can express the directives is chosen: a level alone is decided by one comparison
//! at each call site, whereas `EnvFilter` takes a lock whenever a span is entered.

use std::{error::Error, fmt};

use tracing::{Dispatch, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{Directive, Targets},
    layer::SubscriberExt,
};

use super::own::BoxedLayer;

/// The level of targets that no directive names.
const UNNAMED: LevelFilter = LevelFilter::ERROR;

/// Judges filter directives as [`Telemetry::init`](super::Telemetry::init) would, without installing anything.
///
/// ```
/// use neuroglia::telemetry::check_directives;
///
/// assert!(check_directives("INFO,hyper=warn,sqlx::query=debug").is_ok());
/// assert_eq!(
///     check_directives("info,hyper=loud").unwrap_err(),
///     "`hyper=loud`: `loud` is not a level (off, error, warn, info, debug, trace)",
/// );
/// ```
///
/// # Errors
/// The text names the directive that is wrong and says why.
pub fn check_directives(directives: &str) -> Result<(), String> {
    Filter::parse(directives).map(drop).map_err(|invalid| invalid.to_string())
}

/// Filter directives that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDirectives {
    directive: String,
    problem: String,
}

impl InvalidDirectives {
    fn new(directive: &str, problem: impl Into<String>) -> Self {
        Self { directive: directive.to_owned(), problem: problem.into() }
    }

    /// The directive that is wrong, out of possibly several.
    #[must_use]
    pub fn directive(&self) -> &str {
        &self.directive
    }
}

impl fmt::Display for InvalidDirectives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.directive.escape_debug(), self.problem)
    }
}

impl Error for InvalidDirectives {}

/// Directives, understood.
#[derive(Debug)]
pub(super) enum Filter {
    Level(LevelFilter),
    Targets(Targets),
    Spans(Box<EnvFilter>),
}

impl Filter {
    /// Understands `directives`.
    ///
    /// # Errors
    /// The first directive that is wrong, and why.
    pub(super) fn parse(directives: &str) -> Result<Self, InvalidDirectives> {
        let mut everything = None;
        let mut targets = Vec::new();
        let mut plain = Vec::new();
        let mut spans = Vec::new();
        for directive in split(directives).map(str::trim).filter(|directive| !directive.is_empty()) {
            match parse_one(directive).map_err(|problem| InvalidDirectives::new(directive, problem))? {
                Parsed::Everything(level) => everything = Some(level),
                Parsed::Target(target, level, directive) => {
                    targets.push((target, level));
                    plain.push(directive);
                }
                Parsed::Span(directive) => spans.push(directive),
            }
        }
        if everything.is_none() && targets.is_empty() && spans.is_empty() {
            return Err(InvalidDirectives::new(directives, "names no level; write `info`, for example"));
        }
        let everything = everything.unwrap_or(UNNAMED);
        if targets.is_empty() && spans.is_empty() {
            return Ok(Self::Level(everything));
        }
        if spans.is_empty() {
            return Ok(Self::Targets(Targets::new().with_default(everything).with_targets(targets)));
        }
        let filter = EnvFilter::default().add_directive(everything.into());
        Ok(Self::Spans(Box::new(plain.into_iter().chain(spans).fold(filter, EnvFilter::add_directive))))
    }

    /// Puts the filter in front of the lines and gives both a registry of spans, which `others` hear as it is.
    pub(super) fn dispatch<L>(self, lines: L, others: Vec<BoxedLayer>) -> Dispatch
    where
        L: Layer<Registry> + Send + Sync,
    {
        if !others.is_empty() {
            return self.dispatch_beside(lines, others);
        }
        let lines = Registry::default().with(lines);
        match self {
            Self::Level(filter) => Dispatch::new(lines.with(filter)),
            Self::Targets(filter) => Dispatch::new(lines.with(filter)),
            Self::Spans(filter) => Dispatch::new(lines.with(*filter)),
        }
    }

    /// The directives are those of the lines alone, which costs more at each event than when they are everybody's.
    fn dispatch_beside<L>(self, lines: L, mut layers: Vec<BoxedLayer>) -> Dispatch
    where
        L: Layer<Registry> + Send + Sync,
    {
        let lines = match self {
            Self::Level(filter) => lines.with_filter(filter).boxed(),
            Self::Targets(filter) => lines.with_filter(filter).boxed(),
            Self::Spans(filter) => lines.with_filter(*filter).boxed(),
        };
        // Before the others: one of them that logs while it hears an event would find what was decided of that event.
        layers.insert(0, lines);
        Dispatch::new(Registry::default().with(layers))
    }
}

enum Parsed<'a> {
    Everything(LevelFilter),
    Target(&'a str, LevelFilter, Directive),
    Span(Directive),
}

fn parse_one(text: &str) -> Result<Parsed<'_>, String> {
    if let Ok(level) = text.parse() {
        return Ok(Parsed::Everything(level));
    }
    let directive = text.parse::<Directive>();
    if text.contains('[') {
        let directive = directive.map_err(|_| "does not read as `target[span{field=value}]=level`")?;
        return Ok(Parsed::Span(directive));
    }
    let (target, level) = match text.split_once('=') {
        Some((target, level)) => (target, parse_level(level)?),
        None if text.contains("::") => (text, LevelFilter::TRACE),
        None => {
            return Err(format!("{}; for a target write `target=level`", not_a_level(text)));
        }
    };
    match directive {
        Ok(directive) if target.chars().all(is_target_char) => Ok(Parsed::Target(target, level, directive)),
        _ => Err(format!("`{}` is not a target", target.escape_debug())),
    }
}

fn parse_level(text: &str) -> Result<LevelFilter, String> {
    match text.parse() {
        Ok(level) if !text.is_empty() => Ok(level),
        _ => Err(not_a_level(text)),
    }
}

fn not_a_level(text: &str) -> String {
    format!("`{}` is not a level (off, error, warn, info, debug, trace)", text.escape_debug())
}

fn is_target_char(character: char) -> bool {
    character.is_alphanumeric() || "_-:./".contains(character)
}

/// The most that any of the directives asks for; one that does not say how much asks for everything.
pub(super) fn most(directives: &str) -> LevelFilter {
    let level = |directive: &str| {
        let level = directive.rsplit('=').next().unwrap_or(directive);
        level.trim().parse().unwrap_or(LevelFilter::TRACE)
    };
    split(directives).filter(|directive| !directive.trim().is_empty()).map(level).max().unwrap_or(UNNAMED)
}

/// Splits at the commas between directives, not at those between the fields of a span.
fn split(directives: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    directives.split(move |character| {
        match character {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ',' && depth == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(directives: &str) -> String {
        check_directives(directives).expect_err("should be refused")
    }

    #[test]
    fn the_cheapest_filter_that_can_express_the_directives_is_chosen() {
        for level in ["INFO", "info", " Info ,", "3"] {
            assert!(matches!(Filter::parse(level), Ok(Filter::Level(LevelFilter::INFO))), "{level}");
        }
        let Ok(Filter::Targets(targets)) = Filter::parse("warn,hyper=DEBUG,sqlx::query") else {
            panic!("these are targets");
        };
        assert_eq!(targets.to_string(), "sqlx::query=trace,hyper=debug,warn");
        let Ok(Filter::Spans(filter)) = Filter::parse("hyper=off,web[request{a=1,b}]=trace") else {
            panic!("these need spans");
        };
        assert_eq!(filter.to_string(), "hyper=off,error,web[request{a=1,b}]=trace");
    }

    #[test]
    fn the_most_of_all_directives_is_what_any_asks_for() {
        for (directives, level) in [
            ("warn", LevelFilter::WARN),
            (" Info ,", LevelFilter::INFO),
            ("warn,hyper=debug", LevelFilter::DEBUG),
            ("off,sqlx::query", LevelFilter::TRACE),
            ("hyper=off,web[request{a=1}]=debug", LevelFilter::DEBUG),
            ("info,web[request{a=1,b}]", LevelFilter::TRACE),
        ] {
            assert_eq!(most(directives), level, "{directives}");
        }
    }

    #[test]
    fn a_fault_names_the_directive_and_the_reason() {
        const LEVELS: &str = "is not a level (off, error, warn, info, debug, trace)";
        assert_eq!(problem("info,a=b"), format!("`a=b`: `b` {LEVELS}"));
        assert_eq!(problem("info,a="), format!("`a=`: `` {LEVELS}"));
        assert_eq!(problem("a=b=c"), format!("`a=b=c`: `b=c` {LEVELS}"));
        assert_eq!(
            problem("WARNING"),
            format!("`WARNING`: `WARNING` {LEVELS}; for a target write `target=level`")
        );
        assert_eq!(problem("info, =debug"), "`=debug`: `` is not a target");
        assert_eq!(problem("my crate=debug"), "`my crate=debug`: `my crate` is not a target");
        assert_eq!(problem(" , "), "` , `: names no level; write `info`, for example");
        assert_eq!(
            problem("info,web[request=debug"),
            "`web[request=debug`: does not read as `target[span{field=value}]=level`"
        );
        assert_eq!(problem("a\n=b\u{1b}").lines().count(), 1);
    }
}
