//! What a process has used so far, as `/proc` tells it.
//!
//! CPU time comes from `schedstat`, in nanoseconds, summed over the threads that live. A thread
//! that has ended is missing there but counted in `stat`, which knows hundredths of a second only;
//! the larger of the two is the better answer.

use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

use crate::workspace::Result;

/// How long one tick of `/proc` is; the kernel's interface fixes it at a hundredth of a second.
const TICK: Duration = Duration::from_millis(10);

/// The memory of a process.
#[derive(Clone, Copy)]
pub(super) struct Memory {
    /// What is in memory for it, with all it shares with others.
    pub(super) resident_bytes: u64,
    /// The same, with shared pages divided among those who share them.
    pub(super) proportional_bytes: u64,
}

/// The CPU time, user and system, that a process has used since it began.
///
/// # Errors
/// When it does not live.
pub(super) fn cpu_time(pid: u32) -> Result<Duration> {
    let folder = format!("/proc/{pid}/task");
    let threads = fs::read_dir(&folder).map_err(|error| format!("cannot read {folder}: {error}"))?;
    let mut living = Duration::ZERO;
    for thread in threads.flatten() {
        let path = thread.path().join("schedstat");
        match fs::read_to_string(&path) {
            Ok(text) => {
                let nanoseconds =
                    nanoseconds_of(&text).ok_or_else(|| format!("cannot understand {}", path.display()))?;
                living += Duration::from_nanos(nanoseconds);
            }
            // The thread ended after the folder was listed.
            Err(error) if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(3) => {}
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        }
    }
    let all = TICK * ticks_of(&read(&format!("/proc/{pid}/stat"))?).ok_or("cannot understand stat")?;
    Ok(living.max(all))
}

/// The memory that a process has now.
///
/// # Errors
/// When it does not live, or belongs to somebody else.
pub(super) fn memory(pid: u32) -> Result<Memory> {
    let bytes = |file: &str, field: &str| {
        let path = format!("/proc/{pid}/{file}");
        bytes_of(&read(&path)?, field).ok_or_else(|| format!("{path} has no {field}"))
    };
    Ok(Memory {
        resident_bytes: bytes("status", "VmRSS:")?,
        proportional_bytes: bytes("smaps_rollup", "Pss:")?,
    })
}

/// The CPU time of the whole machine since it started: who had it tells how quiet a run was.
#[derive(Clone, Copy)]
pub(super) struct Processors {
    busy: Duration,
    all: Duration,
}

impl Processors {
    /// Reads the sum over all processors.
    ///
    /// # Errors
    /// When `/proc/stat` is not what it should be.
    pub(super) fn now() -> Result<Self> {
        Self::parse(&read("/proc/stat")?).ok_or_else(|| "cannot understand /proc/stat".to_owned())
    }

    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().next()?.strip_prefix("cpu ")?;
        // user nice system idle iowait irq softirq steal; what follows is counted in user already.
        let ticks: Vec<u32> = line
            .split_ascii_whitespace()
            .take(8)
            .map(str::parse)
            .collect::<std::result::Result<_, _>>()
            .ok()?;
        let all: u32 = ticks.iter().sum();
        let idle = ticks.get(3)? + ticks.get(4)?;
        Some(Self { busy: TICK * (all - idle), all: TICK * all })
    }

    /// The share of the processors that went to others than `ours` since then, from 0 to 1.
    pub(super) fn share_of_others(&self, since: &Self, ours: Duration) -> f64 {
        let busy = self.busy.saturating_sub(since.busy);
        let all = self.all.saturating_sub(since.all);
        if all.is_zero() {
            return 0.0;
        }
        busy.saturating_sub(ours).as_secs_f64() / all.as_secs_f64()
    }
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))
}

/// The time on a processor, from a `schedstat` line: run time, wait time, time slices.
fn nanoseconds_of(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().next()?.parse().ok()
}

/// User and system time, from a `stat` line.
fn ticks_of(stat: &str) -> Option<u32> {
    // The name in parentheses may itself hold spaces and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let user: u32 = times.next()?.parse().ok()?;
    let system: u32 = times.next()?.parse().ok()?;
    user.checked_add(system)
}

/// A field of `status` or `smaps_rollup`, which are written in kibibytes.
fn bytes_of(text: &str, field: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = value.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedstat_begins_with_the_run_time() {
        assert_eq!(nanoseconds_of("2598234 17 1\n"), Some(2_598_234));
        assert_eq!(nanoseconds_of(""), None);
        assert_eq!(nanoseconds_of("x 0 0"), None);
    }

    #[test]
    fn stat_is_read_after_a_name_with_spaces_and_parentheses() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194304 100 0 0 0 250 30 0 0 20 0 3 0 100 1000 200";
        assert_eq!(ticks_of(stat), Some(280));
        assert_eq!(ticks_of("42 (short) S 1"), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t  9000 kB\nVmRSS:\t    8000 kB\n";
        assert_eq!(bytes_of(status, "VmRSS:"), Some(8_192_000));
        assert_eq!(bytes_of(status, "Pss:"), None);
    }

    #[test]
    fn others_have_what_is_busy_and_not_ours() {
        let before = Processors::parse("cpu  100 0 50 800 50 0 0 0 7 0\ncpu0 …\n").expect("a line of cpu");
        let after = Processors::parse("cpu  180 0 70 890 60 0 0 0 7 0\n").expect("a line of cpu");
        // 200 ticks went by, 100 of them busy, 60 of these ours.
        let others = after.share_of_others(&before, TICK * 60);
        assert!((others - 0.2).abs() < 1e-9, "{others}");
        assert!(Processors::parse("intr 1 2 3").is_none());
    }

    #[test]
    fn a_living_process_has_used_cpu_and_memory() {
        let pid = std::process::id();
        assert!(cpu_time(pid).expect("this process lives") > Duration::ZERO);
        let memory = memory(pid).expect("this process lives");
        assert!(memory.proportional_bytes > 0 && memory.proportional_bytes <= memory.resident_bytes * 2);
    }
}
