//! From an event to a line: the `tracing` layer, for any encoder and any sink.
//!
//! A span's fields are encoded once, when it is opened or when one is recorded, and lie in the registry as the
//! bytes that every line below it repeats. An event is encoded straight into a buffer which its thread keeps.
//! No code of the application (`Debug`, `Display`) ever runs under a lock, and one that logs or panics itself
//! finds the buffer taken and uses another.

use std::{cell::Cell, time::SystemTime};

use tracing::{
    Event, Level, Subscriber,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

use super::{
    keys::Encoded,
    panic_hook,
    sink::LineSink,
    timestamp::Timestamp,
    value::{Fields, Value, Visitor},
};

/// The name under which `tracing` records the text of an event.
const MESSAGE: &str = "message";

/// How a line is spelled. A line is `head field* tail`.
pub(super) trait Encode: Send + Sync + 'static {
    /// Whether a line without a message still shows one.
    const MESSAGE_REQUIRED: bool;

    /// Begins a line.
    fn head(&self, line: &mut Vec<u8>, head: Head<'_>);
    /// Appends one field, complete in itself: spans keep these bytes and lines repeat them.
    fn field(&self, line: &mut Vec<u8>, name: &str, value: Value<'_>);
    /// Ends a line, including its line feed.
    fn tail(&self, line: &mut Vec<u8>);
    /// The key under which a field appears, which must not be one of the envelope's.
    fn key(&self, name: &'static str) -> &'static str;
}

/// What every line begins with.
pub(super) struct Head<'a> {
    pub(super) timestamp: &'a [u8; 27],
    pub(super) level: Level,
    pub(super) target: &'a str,
    pub(super) message: Option<Value<'a>>,
}

/// Turns events into lines.
pub(super) struct Lines<E, S> {
    encode: E,
    sink: S,
    clock: fn() -> SystemTime,
}

impl<E: Encode, S: LineSink> Lines<E, S> {
    pub(super) fn new(encode: E, sink: S, clock: fn() -> SystemTime) -> Self {
        Self { encode, sink, clock }
    }
}

impl<R, E, S> Layer<R> for Lines<E, S>
where
    R: Subscriber + for<'lookup> LookupSpan<'lookup>,
    E: Encode,
    S: LineSink,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, R>) {
        let Some(span) = context.span(id) else { return };
        with_scratch(|Scratch { line, .. }| {
            attributes.record(&mut Visitor(SpanFields { encode: &self.encode, fields: line }));
            if !line.keys.is_empty() {
                span.extensions_mut().insert(line.clone());
            }
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, R>) {
        let Some(span) = context.span(id) else { return };
        with_scratch(|Scratch { line, .. }| {
            values.record(&mut Visitor(SpanFields { encode: &self.encode, fields: line }));
            let mut extensions = span.extensions_mut();
            if let Some(earlier) = extensions.get_mut::<Encoded>() {
                line.append_missing(earlier);
                earlier.clone_from(line);
            } else {
                extensions.insert(line.clone());
            }
        });
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, R>) {
        if self.sink.is_closed() {
            return;
        }
        with_scratch(|Scratch { line, timestamp }| {
            let metadata = event.metadata();
            let head = Head {
                timestamp: timestamp.at((self.clock)()),
                level: *metadata.level(),
                target: metadata.target(),
                message: None,
            };
            let mut fields = EventFields { encode: &self.encode, line, head: Some(head), has_message: false };
            event.record(&mut Visitor(&mut fields));
            fields.finish(metadata.name());
            if let Some(scope) = context.event_scope(event) {
                scope.for_each(|span| append_span(line, &span));
            }
            self.encode.tail(&mut line.bytes);
            self.sink.write_line(&line.bytes);
            if metadata.target() == panic_hook::TARGET {
                panic_hook::note_written();
            }
        });
    }
}

/// Writes a line of the module's own, outside any span.
pub(super) fn push_own_line<E: Encode>(
    encode: &E,
    line: &mut Vec<u8>,
    now: SystemTime,
    message: &str,
    (name, value): (&str, Value<'_>),
) {
    let mut timestamp = Timestamp::new();
    let head = Head {
        timestamp: timestamp.at(now),
        level: Level::WARN,
        target: "neuroglia::telemetry",
        message: Some(Value::Text(message)),
    };
    encode.head(line, head);
    encode.field(line, name, value);
    encode.tail(line);
}

fn append_span<R: for<'lookup> LookupSpan<'lookup>>(line: &mut Encoded, span: &SpanRef<'_, R>) {
    if let Some(fields) = span.extensions().get::<Encoded>() {
        line.append_missing(fields);
    }
}

/// Collects the fields of a span.
struct SpanFields<'a, E> {
    encode: &'a E,
    fields: &'a mut Encoded,
}

impl<E: Encode> Fields for SpanFields<'_, E> {
    fn field(&mut self, name: &'static str, value: Value<'_>) {
        push_field(self.encode, self.fields, name, value);
    }
}

/// Writes an event in one pass: the head goes out with the first field, because that is where the message is.
struct EventFields<'a, E> {
    encode: &'a E,
    line: &'a mut Encoded,
    head: Option<Head<'a>>,
    has_message: bool,
}

impl<E: Encode> EventFields<'_, E> {
    fn finish(mut self, name: &str) {
        self.begin(None);
        if E::MESSAGE_REQUIRED && !self.has_message {
            // A name that nobody gave is the place in the source, and says nothing to a reader of logs.
            let name = if name.starts_with("event ") { "" } else { name };
            self.encode.field(&mut self.line.bytes, MESSAGE, Value::Text(name));
        }
    }

    /// Writes the head unless it has been written.
    fn begin(&mut self, message: Option<Value<'_>>) -> bool {
        let Some(head) = self.head.take() else {
            return false;
        };
        self.encode.head(&mut self.line.bytes, Head { message, ..head });
        true
    }
}

impl<E: Encode> Fields for &mut EventFields<'_, E> {
    fn field(&mut self, name: &'static str, value: Value<'_>) {
        if name != MESSAGE {
            self.begin(None);
            push_field(self.encode, self.line, name, value);
        } else if !self.has_message {
            self.has_message = true;
            if !self.begin(Some(value)) {
                self.encode.field(&mut self.line.bytes, MESSAGE, value);
            }
        }
    }
}

fn push_field<E: Encode>(encode: &E, fields: &mut Encoded, name: &'static str, value: Value<'_>) {
    let key = encode.key(name);
    if !fields.keys.contains(key) {
        encode.field(&mut fields.bytes, key, value);
        fields.keys.push(key, fields.bytes.len());
    }
}

/// What a thread keeps from line to line.
struct Scratch {
    line: Encoded,
    timestamp: Timestamp,
}

/// Lends the thread's scratch space, or a new one to whoever logs while it is lent.
fn with_scratch<T>(work: impl FnOnce(&mut Scratch) -> T) -> T {
    /// A line beyond this is rare, and its memory is given back.
    const KEPT_BYTES_MAX: usize = 64 * 1024;

    thread_local! {
        static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
    }

    let kept = SCRATCH.try_with(Cell::take).ok().flatten();
    let mut scratch =
        kept.unwrap_or_else(|| Box::new(Scratch { line: Encoded::default(), timestamp: Timestamp::new() }));
    let result = work(&mut scratch);
    scratch.line.clear();
    scratch.line.bytes.shrink_to(KEPT_BYTES_MAX);
    // A thread that is going away has no place for it any more, which is as good as dropping it.
    let _ = SCRATCH.try_with(|kept| kept.set(Some(scratch)));
    result
}
