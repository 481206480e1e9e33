//! A metric whose number is kept elsewhere and read when somebody asks.

use std::fmt;
use std::time::Duration;

use neuroglia_core::meter::Durations;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

pub(super) struct Observed(pub(super) Reading);

/// How numbers are distributed.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// How many there are in each class, by its upper bound: ascending, and the last one infinite.
    pub classes: Vec<(f64, u64)>,
    /// What they are together.
    pub sum: f64,
}

impl From<&Durations> for Distribution {
    /// In seconds.
    fn from(durations: &Durations) -> Self {
        let seconds = |bound: Option<Duration>| bound.map_or(f64::INFINITY, |bound| bound.as_secs_f64());
        let classes = durations.classes().map(|(bound, count)| (seconds(bound), count));
        Self { classes: classes.collect(), sum: durations.sum().as_secs_f64() }
    }
}

pub(super) enum Reading {
    Gauge(Box<dyn Fn() -> i64 + Send + Sync>),
    Counter(Box<dyn Fn() -> u64 + Send + Sync>),
    Histogram(Box<dyn Fn() -> Distribution + Send + Sync>),
    /// By the value of a label, as all of those below.
    Gauges(&'static str, Box<dyn Fn() -> Vec<(String, i64)> + Send + Sync>),
    Counters(&'static str, Box<dyn Fn() -> Vec<(String, u64)> + Send + Sync>),
}

impl EncodeMetric for Observed {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        match &self.0 {
            Reading::Gauge(read) => encoder.encode_gauge(&read()),
            Reading::Gauges(label, read) => {
                for (value, reading) in read() {
                    encoder.encode_family(&[(*label, value)])?.encode_gauge(&reading)?;
                }
                Ok(())
            }
            Reading::Counters(label, read) => {
                for (value, reading) in read() {
                    let labels = [(*label, value)];
                    encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&reading, None)?;
                }
                Ok(())
            }
            Reading::Histogram(read) => {
                let Distribution { classes, sum } = read();
                let count = classes.iter().map(|(_, count)| count).sum();
                encoder.encode_histogram::<NoLabelSet>(sum, count, &classes, None)
            }
            Reading::Counter(read) => encoder.encode_counter::<NoLabelSet, _, u64>(&read(), None),
        }
    }

    fn metric_type(&self) -> MetricType {
        match self.0 {
            Reading::Gauge(_) | Reading::Gauges(..) => MetricType::Gauge,
            Reading::Histogram(_) => MetricType::Histogram,
            Reading::Counter(_) | Reading::Counters(..) => MetricType::Counter,
        }
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observed")
    }
}
