//! What hears the events and spans of a process beside its log.

use std::fmt;
use std::sync::mpsc;
use std::thread;

use tracing_subscriber::{Layer, Registry};

use crate::shutdown::LAST_EXPORT;

/// A layer over the registry of spans.
pub(super) type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// What is done at the end of a process.
type End = Box<dyn FnOnce() + Send>;

/// A layer of an application's own, which hears every event and span of the process;
/// [`App::telemetry`](crate::App::telemetry) adds one.
///
/// `LOG_LEVEL` is the log's. A layer that is to hear less than everything is filtered by `with_filter`, for itself alone; a
/// filter that is a layer, and a layer whose own `enabled` refuses an event, refuse it for the log too.
///
/// ```
/// use neuroglia::App;
/// use neuroglia::telemetry::TelemetryLayer;
/// use neuroglia::telemetry::tracing_subscriber::filter::LevelFilter;
/// use neuroglia::telemetry::tracing_subscriber::layer::{Context, Layer};
/// use tracing::{Event, Subscriber};
///
/// /// Tells somebody what goes wrong.
/// struct Alarm;
///
/// impl<S: Subscriber> Layer<S> for Alarm {
///     fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
///         // One more of event.metadata().target().
///         # let _ = event;
///     }
/// }
///
/// let app = App::<()>::new("shop")
///     .telemetry(|_| Ok(TelemetryLayer::new(Alarm.with_filter(LevelFilter::ERROR))));
/// # let _ = app;
/// ```
pub struct TelemetryLayer {
    layer: BoxedLayer,
    ends: Option<End>,
}

impl TelemetryLayer {
    /// This layer.
    pub fn new(layer: impl Layer<Registry> + Send + Sync + 'static) -> Self {
        Self { layer: Box::new(layer), ends: None }
    }

    /// Sends what the layer still holds when the process ends, also when it has not started. It has a fifth of a second, after
    /// which the process ends all the same, so hold little. It is called in a thread of its own, where there is no runtime any
    /// more.
    #[must_use]
    pub fn ending_with(self, end: impl FnOnce() + Send + 'static) -> Self {
        Self { ends: Some(Box::new(end)), ..self }
    }
}

impl fmt::Debug for TelemetryLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelemetryLayer").finish_non_exhaustive()
    }
}

/// What is left to do for the layers of a process.
#[derive(Default)]
pub(super) struct Ends(Vec<End>);

impl Ends {
    /// Takes the layers apart.
    pub(super) fn of(layers: Vec<TelemetryLayer>) -> (Vec<BoxedLayer>, Self) {
        let (layers, ends): (Vec<_>, Vec<_>) =
            layers.into_iter().map(|layer| (layer.layer, layer.ends)).unzip();
        (layers, Self(ends.into_iter().flatten().collect()))
    }

    /// Has each layer send what it holds, and waits no longer for them than that may take.
    pub(super) fn come(&mut self) {
        let ends = std::mem::take(&mut self.0);
        if ends.is_empty() {
            return;
        }
        let (under_way, all) = mpsc::channel::<()>();
        for end in ends {
            let under_way = under_way.clone();
            // One without a thread of its own holds nobody up, and sends nothing.
            let _ = thread::Builder::new().name("telemetry".to_owned()).spawn(move || {
                end();
                drop(under_way);
            });
        }
        drop(under_way);
        // Either nobody is under way any more, also because of a panic, or the time is over.
        let _ = all.recv_timeout(LAST_EXPORT);
    }
}
