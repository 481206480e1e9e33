//! What a client may cost: every bound of the server in one plain struct.

use std::time::Duration;

const KIB: usize = 1024;

/// The bounds that keep one client from costing the others their service.
///
/// All fields are plain values, so that an application can take the defaults and change one:
///
/// ```
/// # use neuroglia::web::server::Limits;
/// let limits = Limits { body_bytes: 64 * 1024, ..Limits::default() };
/// assert_eq!(limits.header_count, 100);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest request line; more is answered 414. Default 8 KiB.
    pub request_line_bytes: usize,
    /// All header fields of a request together; more is answered 431. Default 32 KiB.
    pub header_bytes: usize,
    /// How many header fields a request may have; more is answered 431. Default 100.
    pub header_count: usize,
    /// From the first byte of a request head to its last, and from a connection's start to its first
    /// request. Half a head is then answered 408, a silent connection just closed. Default 10 s.
    pub header_timeout: Duration,
    /// How long a kept connection may wait for its next request. Default 75 s.
    pub idle_timeout: Duration,
    /// From a complete request head to the head of the answer, the time for the body included. Later is
    /// answered 408 while the body is still being waited for, and else 503, because it is this server
    /// that did not manage. The answer's body may take longer. Default 30 s.
    pub request_timeout: Duration,
    /// The largest request body, by its announced length or as counted; more is answered 413. A
    /// route may raise it by [`BodyLimit`](super::BodyLimit). Default 2 MiB.
    pub body_bytes: u64,
    /// The slowest request body in bytes a second, on average over the time that a handler waited
    /// for it; slower is answered 408. `0` accepts any. Default 240.
    pub body_rate: u32,
    /// How long a body may be slower than [`body_rate`](Self::body_rate) at its start. Default 5 s.
    pub body_rate_grace: Duration,
    /// How long a client may take nothing of an answer that is waiting for it; then the connection
    /// is cut. Default 30 s.
    pub write_timeout: Duration,
    /// How many connections are served at once; further ones wait in the kernel's backlog. As long as
    /// one does, those that are idle are closed after [`drain_linger`](Self::drain_linger). The default
    /// leaves a fifth of the process's file descriptors to everything else.
    pub connections: usize,
    /// How many requests one HTTP/2 connection may have open at once. Default 100.
    pub h2_streams: u32,
    /// How many requests one HTTP/2 connection may cancel before they are answered, beyond one for
    /// each that it let finish; then it is closed (the "rapid reset" attack). Default 100.
    pub h2_resets: u32,
    /// How long a finished connection is still read, and thrown away, so that the client gets our
    /// last answer and not a reset. Default 2 s.
    pub linger_timeout: Duration,
    /// How much is read and thrown away at most in that time. Default 1 MiB.
    pub linger_bytes: usize,
    /// How long an idle kept connection still gets an answer once the listener is closed, or while others
    /// wait for its place; the most that a finished one is still read once the listener is closed; and how
    /// long an HTTP/2 client may take to leave when its connection is closed for being idle. Default 1 s.
    pub drain_linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_line_bytes: 8 * KIB,
            header_bytes: 32 * KIB,
            header_count: 100,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            request_timeout: Duration::from_secs(30),
            body_bytes: 2 * 1024 * 1024,
            body_rate: 240,
            body_rate_grace: Duration::from_secs(5),
            write_timeout: Duration::from_secs(30),
            connections: default_connections(),
            h2_streams: 100,
            h2_resets: 100,
            linger_timeout: Duration::from_secs(2),
            linger_bytes: 1024 * KIB,
            drain_linger: Duration::from_secs(1),
        }
    }
}

impl Limits {
    /// What hyper itself admits as a head: a little more than we do, so that we refuse first and can
    /// say why.
    pub(super) fn head_bytes(&self) -> usize {
        self.request_line_bytes.saturating_add(self.header_bytes).saturating_add(4 * KIB)
    }
}

/// Four fifths of the soft limit on file descriptors, within reason for memory.
fn default_connections() -> usize {
    const MOST: u64 = 65_536;
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let share = descriptors.map_or(MOST, |soft| (soft / 5 * 4).clamp(16, MOST));
    usize::try_from(share).expect("65,536 fits into a usize")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_rest_of_the_process() {
        let soft = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        let connections = u64::try_from(default_connections()).expect("fits");
        assert!(connections < soft, "{connections} of {soft}");
        assert!(connections >= 16);
    }
}
