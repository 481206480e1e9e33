//! Putting the parts together, once for a process or as often as tests like.

use std::{
    error::Error,
    fmt,
    io::{self, IsTerminal, Write},
    str::FromStr,
    time::{Duration, SystemTime},
};

use tracing::level_filters::STATIC_MAX_LEVEL;
use tracing::{Dispatch, dispatcher};

use super::{
    directives::{Filter, InvalidDirectives, most},
    json::Json,
    layer::{Encode, Lines, push_own_line},
    own::{BoxedLayer, Ends, TelemetryLayer},
    panic_hook,
    queue::{self, LossNotice, Queue},
    sink::LineSink,
    stdout::Stdout,
    text::Text,
    value::Value,
};
use crate::shutdown::LAST_FLUSH;

/// How a line is spelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    #[default]
    Json,
    /// One line an event, for a person in front of a terminal.
    Text,
}

impl LogFormat {
    /// The format for whoever reads standard output: text for a terminal, JSON for everything else.
    #[must_use]
    pub fn for_stdout() -> Self {
        if io::stdout().is_terminal() { Self::Text } else { Self::Json }
    }
}

impl FromStr for LogFormat {
    type Err = UnknownLogFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            _ if text.eq_ignore_ascii_case("json") => Ok(Self::Json),
            _ if text.eq_ignore_ascii_case("text") => Ok(Self::Text),
            _ => Err(UnknownLogFormat),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Text => "text",
        })
    }
}

/// A log format that is neither `json` nor `text`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownLogFormat;

impl fmt::Display for UnknownLogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is not a log format (json, text)")
    }
}

impl Error for UnknownLogFormat {}

/// What is logged and how.
#[derive(Clone, Debug)]
pub struct TelemetryOptions {
    /// How a line is spelled.
    pub format: LogFormat,
    /// Which events are logged, as [`check_directives`](super::check_directives) describes.
    pub directives: String,
    /// The name of the service, on every JSON line.
    pub service: Option<String>,
    /// The release that runs, on every JSON line.
    pub release: Option<String>,
    /// Whether text may be coloured. [`Telemetry::init`] colours it only on a terminal in any case.
    pub colour: bool,
    /// Whether a panic carries its backtrace.
    pub backtrace: bool,
    /// How much may wait for a stalled reader before lines are dropped. As much again may be on its way.
    pub buffer_bytes_max: usize,
    /// Where timestamps come from.
    pub clock: fn() -> SystemTime,
}

impl Default for TelemetryOptions {
    #[expect(
        clippy::disallowed_methods,
        reason = "a line carries the time of the machine, whichever clock the application was given"
    )]
    fn default() -> Self {
        Self {
            format: LogFormat::Json,
            directives: "info".to_owned(),
            service: None,
            release: None,
            colour: false,
            backtrace: false,
            buffer_bytes_max: 1024 * 1024,
            clock: SystemTime::now,
        }
    }
}

/// The ways to start logging.
#[derive(Debug)]
pub struct Telemetry;

impl Telemetry {
    /// Logs everything in this process to its standard output, panics included.
    ///
    /// Keep the guard until the very end: dropping it waits for the last lines to be written.
    ///
    /// # Errors
    /// Directives that cannot be understood, a subscriber that is installed already, or no thread to be had.
    pub fn init(options: TelemetryOptions) -> Result<TelemetryGuard, TelemetryError> {
        Self::init_beside(Vec::new(), options)
    }

    /// As [`init`](Self::init), with layers that hear everything beside the log.
    pub(crate) fn init_beside(
        layers: Vec<TelemetryLayer>,
        options: TelemetryOptions,
    ) -> Result<TelemetryGuard, TelemetryError> {
        let colour = options.colour && io::stdout().is_terminal();
        let options = TelemetryOptions { colour, ..options };
        let (dispatch, guard) = Self::queued_beside(layers, &options, Stdout)?;
        dispatcher::set_global_default(dispatch).map_err(|_| TelemetryError::AlreadyInstalled)?;
        panic_hook::install(guard.queue.clone(), options.backtrace);
        Ok(guard)
    }

    /// Logs to `writer` through a queue with a thread of its own, as [`init`](Self::init) does to standard output.
    ///
    /// The writer may block; whoever logs does not.
    ///
    /// # Errors
    /// Directives that cannot be understood, or no thread to be had.
    pub fn queued(
        options: &TelemetryOptions,
        writer: impl Write + Send + 'static,
    ) -> Result<(Dispatch, TelemetryGuard), TelemetryError> {
        Self::queued_beside(Vec::new(), options, writer)
    }

    /// As [`queued`](Self::queued), with layers that hear everything beside the log.
    pub(crate) fn queued_beside(
        layers: Vec<TelemetryLayer>,
        options: &TelemetryOptions,
        writer: impl Write + Send + 'static,
    ) -> Result<(Dispatch, TelemetryGuard), TelemetryError> {
        let filter = Filter::parse(&options.directives)?;
        let notice: LossNotice = match options.format {
            LogFormat::Json => loss_notice(json(options), options.clock),
            LogFormat::Text => loss_notice(text(options), options.clock),
        };
        let (sink, queue) = queue::spawn(writer, options.buffer_bytes_max, notice)?;
        let (layers, ends) = Ends::of(layers);
        let dispatch = dispatch(layers, options, filter, sink);
        let asked = most(&options.directives);
        if asked > STATIC_MAX_LEVEL {
            dispatcher::with_default(&dispatch, || {
                tracing::warn!(
                    asked = %asked,
                    compiled = %STATIC_MAX_LEVEL,
                    "the log is asked for lines of a level that this executable was compiled without"
                );
            });
        }
        Ok((dispatch, TelemetryGuard { queue, ends }))
    }

    /// Logs to `sink`, without queue, thread or anything global.
    ///
    /// # Errors
    /// Directives that cannot be understood.
    pub fn subscriber(
        options: &TelemetryOptions,
        sink: impl LineSink,
    ) -> Result<Dispatch, InvalidDirectives> {
        Ok(dispatch(Vec::new(), options, Filter::parse(&options.directives)?, sink))
    }
}

fn dispatch(
    layers: Vec<BoxedLayer>,
    options: &TelemetryOptions,
    filter: Filter,
    sink: impl LineSink,
) -> Dispatch {
    match options.format {
        LogFormat::Json => filter.dispatch(Lines::new(json(options), sink, options.clock), layers),
        LogFormat::Text => filter.dispatch(Lines::new(text(options), sink, options.clock), layers),
    }
}

fn json(options: &TelemetryOptions) -> Json {
    Json::new(options.service.as_deref(), options.release.as_deref())
}

fn text(options: &TelemetryOptions) -> Text {
    Text::new(options.colour)
}

fn loss_notice(encode: impl Encode, clock: fn() -> SystemTime) -> LossNotice {
    Box::new(move |line, lines_lost| {
        let count = ("log.lines_lost", Value::U64(lines_lost));
        push_own_line(&encode, line, clock(), "log lines lost", count);
    })
}

/// Holds the log open; dropping it writes what is left, if that takes but a moment.
#[must_use = "dropping the guard is the moment at which the last lines are written"]
pub struct TelemetryGuard {
    queue: Queue,
    ends: Ends,
}

impl TelemetryGuard {
    /// Waits until everything logged so far is written, or known to be lost. False when `within` was too short.
    ///
    /// For ends of a process that run no destructors, such as [`std::process::exit`].
    pub fn flush(&self, within: Duration) -> bool {
        self.queue.flush(within)
    }

    /// How many lines were dropped because nobody read fast enough, since the start.
    #[must_use]
    pub fn lines_lost(&self) -> u64 {
        self.queue.lines_lost()
    }

    /// [`lines_lost`](Self::lines_lost) for whoever asks from another thread.
    pub(crate) fn loss_reader(&self) -> impl Fn() -> u64 + Send + Sync + 'static {
        let queue = self.queue.clone();
        move || queue.lines_lost()
    }
}

impl fmt::Debug for TelemetryGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelemetryGuard").field("lines_lost", &self.lines_lost()).finish()
    }
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        // First what may log.
        self.ends.come();
        self.queue.flush(LAST_FLUSH);
    }
}

/// Why logging could not start.
#[derive(Debug)]
pub enum TelemetryError {
    /// The directives cannot be understood.
    Directives(InvalidDirectives),
    /// Something in this process receives its events already.
    AlreadyInstalled,
    /// The thread that writes could not be started.
    Thread(io::Error),
}

impl fmt::Display for TelemetryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directives(_) => "invalid log filter",
            Self::AlreadyInstalled => "a subscriber for log events is installed already",
            Self::Thread(_) => "cannot start the thread that writes the log",
        })
    }
}

impl Error for TelemetryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Directives(error) => Some(error),
            Self::AlreadyInstalled => None,
            Self::Thread(error) => Some(error),
        }
    }
}

impl From<InvalidDirectives> for TelemetryError {
    fn from(error: InvalidDirectives) -> Self {
        Self::Directives(error)
    }
}

impl From<io::Error> for TelemetryError {
    fn from(error: io::Error) -> Self {
        Self::Thread(error)
    }
}
