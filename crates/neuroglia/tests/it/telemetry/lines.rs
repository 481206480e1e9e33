//! The spelling of a line in both formats.

use std::{error::Error, fmt};

use neuroglia::telemetry::{LogFormat, TelemetryOptions, check_directives};
use proptest::prelude::*;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Value, json};

use super::{lines_of, options};

/// Everything after the timestamp of the only line that `work` logs as JSON.
fn json_of(work: impl FnOnce()) -> String {
    let lines = lines_of(&options(), work);
    let [line] = lines.as_slice() else { panic!("one line, not {lines:?}") };
    let rest = line.strip_prefix(r#"{"timestamp":"2026-03-01T12:00:00.000123Z","#);
    format!("{{{}", rest.expect("a line begins with the time"))
}

fn text_of(options: &TelemetryOptions, work: impl FnOnce()) -> String {
    lines_of(&TelemetryOptions { format: LogFormat::Text, ..options.clone() }, work).join("\n")
}

#[derive(Debug)]
struct Fault(&'static str, Option<Box<Fault>>);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|source| source as _)
    }
}

fn fault() -> Fault {
    Fault("cannot save", Some(Box::new(Fault("disk \"a\" is full", None))))
}

#[test]
fn a_json_line_has_the_envelope_then_fields_then_the_spans() {
    let options = TelemetryOptions {
        service: Some("pizzeria".to_owned()),
        release: Some("v7 \"blue\"".to_owned()),
        ..options()
    };
    let lines = lines_of(&options, || {
        let _request = tracing::info_span!("request", request.id = "7b1e", trace.id = "4bf9").entered();
        tracing::info!(
            target: "pizzeria::web",
            { http.status = 200, http.duration_ms = 1.5 },
            "request {}",
            "completed"
        );
    });
    assert_eq!(
        lines,
        [concat!(
            r#"{"timestamp":"2026-03-01T12:00:00.000123Z","level":"INFO","message":"request completed","#,
            r#""target":"pizzeria::web","http.status":200,"http.duration_ms":1.5,"request.id":"7b1e","#,
            r#""trace.id":"4bf9","service":"pizzeria","release":"v7 \"blue\""}"#
        )]
    );
}

#[test]
fn every_kind_of_value_is_valid_json() {
    let error = fault();
    let line = json_of(|| {
        tracing::warn!(
            target: "kinds",
            yes = true,
            least = i128::MIN,
            most = u128::MAX,
            negative = -7_i64,
            huge = 1e300,
            whole = 3.0,
            not_a_number = f64::NAN,
            endless = f64::INFINITY,
            list = ?["a", "b"],
            shown = %"x y",
            none = None::<u64>,
            some = Some(5),
            error = &error as &(dyn Error + 'static),
            bytes = &[10_u8, 11][..],
        );
    });
    assert_eq!(
        line,
        concat!(
            r#"{"level":"WARN","target":"kinds","yes":true,"least":-170141183460469231731687303715884105728,"#,
            r#""most":340282366920938463463374607431768211455,"negative":-7,"huge":1e+300,"whole":3.0,"#,
            r#""not_a_number":null,"endless":null,"list":"[\"a\", \"b\"]","shown":"x y","some":5,"#,
            r#""error":"cannot save: disk \"a\" is full","bytes":"[0a 0b]","message":""}"#
        )
    );
    serde_json::from_str::<Value>(&line).expect("valid JSON");
}

#[test]
fn the_inner_span_wins_over_the_outer_and_the_event_over_both() {
    let line = json_of(|| {
        let _outer = tracing::info_span!("outer", a = "outer", b = "outer", c = "outer").entered();
        let _bare = tracing::info_span!("bare").entered();
        let _inner = tracing::info_span!("inner", b = "inner", c = "inner", d = "inner").entered();
        tracing::info!(target: "t", c = "event", "m");
    });
    assert_eq!(
        line,
        r#"{"level":"INFO","message":"m","target":"t","c":"event","b":"inner","d":"inner","a":"outer"}"#
    );
}

#[test]
fn a_field_recorded_later_appears_and_replaces() {
    let line = json_of(|| {
        let span = tracing::info_span!("request", user.id = tracing::field::Empty, route = "?", a = 1);
        span.record("user.id", "u1");
        span.record("route", "/menu");
        span.record("user.id", "u2");
        span.in_scope(|| tracing::info!(target: "t", "m"));
    });
    assert_eq!(line, r#"{"level":"INFO","message":"m","target":"t","user.id":"u2","route":"/menu","a":1}"#);
}

#[test]
fn a_span_that_is_not_the_current_one_gives_its_fields_when_it_is_named_as_the_parent() {
    let line = json_of(|| {
        let parent = tracing::info_span!("parent", a = 1);
        let _current = tracing::info_span!("current", b = 2).entered();
        tracing::info!(target: "t", parent: &parent, "m");
    });
    assert_eq!(line, r#"{"level":"INFO","message":"m","target":"t","a":1}"#);
}

#[test]
fn names_of_the_envelope_and_names_that_repeat_do_not_make_a_key_twice() {
    let line = json_of(|| {
        let _span = tracing::info_span!("span", message = "s", release = "s", "field.target" = "s").entered();
        tracing::info!(
            target: "t",
            level = "e",
            target = "e",
            "odd \"name\"\n" = 1,
            { "field.level" } = "again",
            "m"
        );
    });
    assert_eq!(
        line,
        concat!(
            r#"{"level":"INFO","message":"m","target":"t","field.level":"e","field.target":"e","#,
            r#""odd \"name\"\n":1,"field.message":"s","field.release":"s"}"#
        )
    );
}

#[test]
fn an_event_without_a_text_shows_the_name_it_was_given() {
    let line = json_of(|| tracing::info!(name: "order.placed", target: "t", number = 7));
    assert_eq!(line, r#"{"level":"INFO","target":"t","number":7,"message":"order.placed"}"#);
    let line = json_of(|| tracing::info!(target: "t", a = 1, message = "late"));
    assert_eq!(line, r#"{"level":"INFO","target":"t","a":1,"message":"late"}"#);
}

#[test]
fn a_value_that_logs_or_panics_while_it_is_formatted_harms_no_other_line() {
    struct Chatty;
    impl fmt::Debug for Chatty {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            tracing::info!(target: "inner", "inside");
            f.write_str("chatty")
        }
    }
    struct Broken;
    impl fmt::Debug for Broken {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            std::panic::resume_unwind(Box::new("broken"))
        }
    }
    let lines = lines_of(&options(), || {
        tracing::info!(target: "outer", a = "a", value = ?Chatty, "m");
        let broken = std::panic::catch_unwind(|| tracing::info!(target: "outer", value = ?Broken, "m"));
        assert!(broken.is_err());
        tracing::info!(target: "after", "m");
    });
    assert!(lines.iter().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{lines:?}");
    let last = lines.last().expect("a line");
    assert!(last.ends_with(r#""message":"m","target":"after"}"#), "{last}");
}

#[test]
fn a_text_line_is_for_reading() {
    let error = fault();
    let work = || {
        let _request = tracing::info_span!("request", request.id = "7b1e").entered();
        tracing::info!(
            target: "pizzeria",
            note = "no olives",
            order.total = 12.5,
            empty = "",
            list = ?["a"],
            error = &error as &(dyn Error + 'static),
            not_a_number = f64::NAN,
            "the \"order\" is placed",
        );
    };
    assert_eq!(
        text_of(&options(), work),
        concat!(
            r#"2026-03-01T12:00:00.000Z  INFO pizzeria: the "order" is placed note="no olives" "#,
            r#"order.total=12.5 empty="" list="[\"a\"]" error="cannot save: disk \"a\" is full" "#,
            r#"not_a_number=NaN request.id=7b1e"#
        )
    );
}

#[test]
fn colours_come_only_when_asked_for() {
    let work = || tracing::error!(target: "t", a = 1, "m");
    let coloured = text_of(&TelemetryOptions { colour: true, ..options() }, work);
    assert_eq!(
        coloured,
        "\x1b[2m2026-03-01T12:00:00.000Z\x1b[0m \x1b[1;31mERROR\x1b[0m \x1b[2mt:\x1b[0m m \x1b[2ma=\x1b[0m1"
    );
    assert_eq!(text_of(&options(), work), "2026-03-01T12:00:00.000Z ERROR t: m a=1");
    assert!(!json_of(work).contains('\x1b'));
}

#[test]
fn directives_decide_what_is_logged() {
    let logged = |directives: &str| {
        let options = TelemetryOptions { directives: directives.to_owned(), ..options() };
        let lines = lines_of(&options, || {
            let _span = tracing::info_span!(target: "web", "request", user = "a").entered();
            tracing::error!(target: "db", "error");
            tracing::info!(target: "web", "info");
            tracing::debug!(target: "db", "debug");
        });
        let message = |line: &String| serde_json::from_str::<Value>(line).expect("JSON")["message"].clone();
        lines.iter().map(message).collect::<Vec<_>>()
    };
    assert_eq!(logged("INFO"), ["error", "info"]);
    assert_eq!(logged("off"), [""; 0]);
    assert_eq!(logged("web=info"), ["error", "info"]);
    assert_eq!(logged("warn,db=debug"), ["error", "debug"]);
    assert_eq!(logged("[request{user=a}]=debug"), ["error", "info", "debug"]);
    assert_eq!(logged("[request{user=b}]=debug"), ["error"]);
    let problem = check_directives("verbose").expect_err("not a level");
    assert!(problem.contains("`verbose` is not a level"), "{problem}");
}

#[test]
fn formats_are_named() {
    assert_eq!("JSON".parse(), Ok(LogFormat::Json));
    assert_eq!("text".parse(), Ok(LogFormat::Text));
    let unknown = "yaml".parse::<LogFormat>().expect_err("no such format");
    assert_eq!(unknown.to_string(), "is not a log format (json, text)");
}

/// An object's members as they stand, repeated keys included.
fn members(line: &str) -> Vec<(String, Value)> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, Value)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            std::iter::from_fn(|| map.next_entry().transpose()).collect()
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let members = deserializer.deserialize_map(Members).expect("a JSON object");
    deserializer.end().expect("nothing follows the object");
    members
}

/// Text in which the characters that matter are frequent.
fn text() -> impl Strategy<Value = String> {
    let hostile = prop::sample::select(vec![
        '\n', '\r', '"', '\\', '\0', '\x1b', '\x7f', '\u{9b}', '\u{85}', '\u{2028}', '\u{202e}', '{', '}',
        ',', '=',
    ]);
    let character = prop_oneof![hostile, any::<char>(), prop::char::range(' ', '~')];
    prop::collection::vec(character, 0..40).prop_map(String::from_iter)
}

proptest! {
    #[test]
    fn whatever_is_logged_comes_back_and_nothing_else(
        message in text(), value in text(), shown in text(), outer in text(), number in any::<i64>(),
    ) {
        let line = json_of(|| {
            let _outer = tracing::info_span!("outer", outer, value = "hidden", level = outer).entered();
            tracing::info!(target: "t", value, shown = %shown, level = value, number, "{message}");
        });
        prop_assert!(!line.contains(char::is_control));
        let expected = [
            ("level", json!("INFO")), ("message", json!(message)), ("target", json!("t")), ("value", json!(value)),
            ("shown", json!(shown)), ("field.level", json!(value)), ("number", json!(number)), ("outer", json!(outer)),
        ];
        prop_assert_eq!(members(&line), expected.map(|(name, value)| (name.to_owned(), value)).to_vec());
    }

    #[test]
    fn a_float_reads_back_as_itself(number in any::<f64>()) {
        let line = json_of(|| tracing::info!(target: "t", number, "m"));
        let text = line.trim_start_matches(r#"{"level":"INFO","message":"m","target":"t","number":"#);
        prop_assert_eq!(text.trim_end_matches('}').parse(), Ok(number));
    }

    #[test]
    fn no_value_ends_a_text_line_or_reaches_the_terminal(message in text(), value in text()) {
        let line = text_of(&options(), || tracing::info!(target: "t", value, shown = %value, "{message}"));
        let unsafe_character = line.chars().find(|c| c.is_control() || *c == '\u{2028}');
        prop_assert_eq!(unsafe_character, None);
    }
}
