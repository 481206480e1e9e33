//! What the operating system knows of this process, under the names that all exporters use.
//!
//! Where there is no `/proc`, what it would tell is left out.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

#[derive(Debug)]
pub(super) struct Process {
    started_at_s: Option<f64>,
}

impl Process {
    pub(super) fn this() -> Self {
        Self { started_at_s: started_at_s() }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        encoder
            .encode_descriptor(
                "process_cpu",
                "Processor time that was used, in user and system mode.",
                Some(&Unit::Seconds),
                MetricType::Counter,
            )?
            .encode_counter::<NoLabelSet, _, u64>(&cpu_s(), None)?;

        let mut gauges = Gauges(encoder);
        gauges.show(
            "process_resident_memory",
            "Memory that is in use.",
            Some(Unit::Bytes),
            resident_bytes(),
        )?;
        gauges.show("process_open_fds", "Files and sockets that are open.", None, open_files())?;
        gauges.show("process_max_fds", "Files and sockets that may be open.", None, open_files_max())?;
        gauges.show("process_threads", "Threads that exist.", None, threads())?;
        gauges.show(
            "process_start_time",
            "When the process started, since the start of 1970.",
            Some(Unit::Seconds),
            self.started_at_s,
        )
    }
}

struct Gauges<'a>(DescriptorEncoder<'a>);

impl Gauges<'_> {
    fn show(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        value: Option<impl EncodeGaugeValue>,
    ) -> fmt::Result {
        let Some(value) = value else { return Ok(()) };
        self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?.encode_gauge(&value)
    }
}

fn cpu_s() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(page_size()).ok()?)
}

fn open_files() -> Option<usize> {
    // The one that lists them is among them.
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1))
}

fn open_files_max() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

fn threads() -> Option<u64> {
    stat_field(20)
}

fn started_at_s() -> Option<f64> {
    let booted_at_s: u64 = fs::read_to_string("/proc/stat")
        .ok()?
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    let ticks = stat_field(22)?;
    Some(booted_at_s as f64 + ticks as f64 / clock_ticks_per_second() as f64)
}

/// A field of `/proc/self/stat` by its number in `proc(5)`, from the third on.
fn stat_field(number: usize) -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses, in which there may be anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(number - 3)?.parse().ok()
}
