//! What the application's meters read, family by family.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use neuroglia_core::meter::{Meter, Number, Reading};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

pub(super) struct Meters(pub(super) Vec<Arc<dyn Meter>>);

impl Collector for Meters {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // Several meters have the same families, each with labels of its own; a family is described once.
        let mut families: BTreeMap<&str, Vec<Reading>> = BTreeMap::new();
        for reading in self.0.iter().flat_map(|meter| meter.read()) {
            families.entry(reading.name).or_default().push(reading);
        }
        for (name, readings) in &families {
            let kind = |reading: &Reading| match reading.number {
                Number::Counter(_) => MetricType::Counter,
                Number::Gauge(_) => MetricType::Gauge,
            };
            let first = &readings[0];
            let mut family = encoder.encode_descriptor(name, first.help, None, kind(first))?;
            for Reading { labels, number, .. } in readings {
                let labels: Vec<(&str, &str)> =
                    labels.iter().map(|(name, value)| (*name, &**value)).collect();
                let mut sample = family.encode_family(&labels)?;
                match number {
                    Number::Counter(count) => sample.encode_counter::<NoLabelSet, _, u64>(count, None)?,
                    Number::Gauge(value) => sample.encode_gauge(value)?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} meters", self.0.len())
    }
}
