//! A metric whose number is kept elsewhere and read when somebody asks.

use std::fmt;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

pub(super) struct Observed(pub(super) Reading);

pub(super) enum Reading {
    Gauge(Box<dyn Fn() -> i64 + Send + Sync>),
    Counter(Box<dyn Fn() -> u64 + Send + Sync>),
    /// By the value of a label.
    Gauges(&'static str, Box<dyn Fn() -> Vec<(String, i64)> + Send + Sync>),
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
            Reading::Counter(read) => encoder.encode_counter::<NoLabelSet, _, u64>(&read(), None),
        }
    }

    fn metric_type(&self) -> MetricType {
        match self.0 {
            Reading::Gauge(_) | Reading::Gauges(..) => MetricType::Gauge,
            Reading::Counter(_) => MetricType::Counter,
        }
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observed")
    }
}
