//! Taking connections from the kernel, whatever it answers.
//!
//! `accept` fails for two kinds of reasons. A connection may have died in the backlog: the next one
//! is fine. Or the process has run out of descriptors or memory: the next call fails too, at once,
//! and a loop would burn a core and fill the log. So that kind is waited out with back-off, and said
//! once until it is over.
//!
//! When every place is taken and somebody waits for one, connections that are idle make room, as nginx
//! has it ("reusing connections"): one client that keeps many open must not shut the others out.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::application::Application;
use super::connection::Host;

const BACKOFF_FIRST: Duration = Duration::from_millis(10);
const BACKOFF_MOST: Duration = Duration::from_secs(1);

/// How often it is looked whether somebody waits while every place is taken.
const CROWD_LOOK: Duration = Duration::from_millis(250);

/// After so long without a failure, the next one is news again.
const EPISODE_END: Duration = Duration::from_secs(10);

/// Where connections come from; a listener, or a test that fails on purpose.
trait Acceptor {
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;

    /// Whether somebody waits to be taken.
    fn is_awaited(&self) -> bool;
}

impl Acceptor for TcpListener {
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        TcpListener::accept(self)
    }

    fn is_awaited(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(self, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
    }
}

/// Accepts and serves until it is dropped.
pub(super) async fn run<A: Application>(listener: &TcpListener, host: &Arc<Host<A>>) -> Infallible {
    let serve = |stream, peer, permit| host.spawn(stream, peer, permit);
    accept_all(listener, host.limits().connections, serve, |crowded| host.crowd(crowded)).await
}

async fn accept_all(
    acceptor: &impl Acceptor,
    connections: usize,
    mut serve: impl FnMut(TcpStream, SocketAddr, Option<OwnedSemaphorePermit>),
    crowd: impl Fn(bool),
) -> Infallible {
    let slots = Arc::new(Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS)));
    let mut trouble = Trouble::default();
    let mut full = false;
    loop {
        let permit = match Arc::clone(&slots).try_acquire_owned() {
            Ok(permit) => {
                // Not as soon as one is free, for the same reason as in `Trouble`.
                full &= slots.available_permits() < connections / 10;
                permit
            }
            Err(_) => {
                if !std::mem::replace(&mut full, true) {
                    tracing::warn!(
                        http.connections = connections,
                        "all connections are taken; idle ones are closed when others wait in the backlog"
                    );
                }
                let mut freed = pin!(Arc::clone(&slots).acquire_owned());
                let permit = loop {
                    // Nobody has to make room as long as nobody wants any.
                    crowd(acceptor.is_awaited());
                    if let Ok(permit) = timeout(CROWD_LOOK, freed.as_mut()).await {
                        break permit.expect("the semaphore is never closed");
                    }
                };
                crowd(false);
                permit
            }
        };
        match acceptor.accept().await {
            Ok((stream, peer)) => {
                trouble.succeeded();
                serve(stream, peer, Some(permit));
            }
            Err(error) if is_of_one_connection(&error) => (),
            Err(error) => tokio::time::sleep(trouble.next(&error)).await,
        }
    }
}

/// Whether the error is about the connection in question and not about this process.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// A time in which accepting fails, again and again.
///
/// Under load a descriptor becomes free now and then and is taken at once. So one success does not
/// end an episode, or each would be followed by another line in the log.
#[derive(Default)]
struct Trouble {
    /// How long to wait after the next failure.
    backoff: Option<Duration>,
    /// When it failed last; none outside of an episode.
    failed: Option<Instant>,
}

impl Trouble {
    fn next(&mut self, error: &io::Error) -> Duration {
        if self.failed.replace(Instant::now()).is_none() {
            tracing::error!(%error, "connections cannot be accepted; trying again until they can");
        }
        let wait = self.backoff.map_or(BACKOFF_FIRST, |last| (last * 2).min(BACKOFF_MOST));
        self.backoff = Some(wait);
        wait
    }

    fn succeeded(&mut self) {
        self.backoff = None;
        if self.failed.is_some_and(|failed| failed.elapsed() > EPISODE_END) {
            self.failed = None;
            tracing::info!("connections are accepted again");
        }
    }
}

/// Closes the listener, after serving everyone whom the kernel had already let in.
///
/// Their handshake is complete and their request may have arrived: closing the listener over them
/// would reset them. The cap on connections does not count here, the backlog is bounded itself. When
/// the process has run out of descriptors, they wait until others have left.
pub(super) async fn empty_backlog<A: Application>(listener: TcpListener, host: &Arc<Host<A>>) {
    // tokio asks the kernel only after it was told that there is something; we have to know now.
    let Ok(listener) = listener.into_std() else { return };
    let mut trouble = Trouble::default();
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                if let Ok(stream) = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
                    host.spawn(stream, peer, None);
                }
            }
            Err(error) if is_of_one_connection(&error) => (),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => tokio::time::sleep(trouble.next(&error)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use rustix::io::Errno;

    use super::*;

    /// Fails as scripted, then accepts for real.
    struct Failing {
        errors: Mutex<VecDeque<Errno>>,
        listener: TcpListener,
    }

    impl Acceptor for Failing {
        async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
            let error = self.errors.lock().expect("not poisoned").pop_front();
            match error {
                Some(error) => Err(error.into()),
                None => self.listener.accept().await,
            }
        }

        fn is_awaited(&self) -> bool {
            self.listener.is_awaited()
        }
    }

    #[tokio::test]
    async fn errors_of_accept_are_survived() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let acceptor = Failing {
            errors: Mutex::new(VecDeque::from([
                Errno::CONNABORTED,
                Errno::MFILE,
                Errno::NFILE,
                Errno::NOBUFS,
                Errno::NOMEM,
                Errno::INTR,
            ])),
            listener,
        };
        let (served, mut connections) = tokio::sync::mpsc::unbounded_channel();
        let _client = TcpStream::connect(address).await.expect("the backlog takes it");
        tokio::select! {
            never = accept_all(&acceptor, 8, |_, peer, _| served.send(peer).expect("open"), |_| {}) => match never {},
            peer = connections.recv() => assert!(peer.is_some()),
        }
        assert!(acceptor.errors.lock().expect("not poisoned").is_empty());
    }

    #[tokio::test]
    async fn the_cap_is_kept_and_freed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (served, mut connections) = tokio::sync::mpsc::unbounded_channel();
        let accepting = accept_all(
            &listener,
            1,
            |stream, _, permit| served.send((stream, permit)).expect("open"),
            |_| {},
        );
        let clients = async {
            let _first = TcpStream::connect(address).await.expect("connects");
            let _second = TcpStream::connect(address).await.expect("the backlog takes it");
            let first = connections.recv().await.expect("served");
            assert!(connections.try_recv().is_err(), "the second waits");
            drop(first);
            connections.recv().await.expect("served as soon as there is room");
        };
        tokio::select! {
            never = accepting => match never {},
            () = clients => (),
        }
    }

    #[tokio::test]
    async fn nobody_makes_room_before_somebody_waits() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (served, mut connections) = tokio::sync::mpsc::unbounded_channel();
        let (told, mut crowds) = tokio::sync::mpsc::unbounded_channel();
        let accepting = accept_all(
            &listener,
            1,
            |stream, _, permit| served.send((stream, permit)).expect("open"),
            |crowded| told.send(crowded).expect("open"),
        );
        let clients = async {
            let _first = TcpStream::connect(address).await.expect("connects");
            let held = connections.recv().await.expect("served");
            for _ in 0..3 {
                assert_eq!(crowds.recv().await, Some(false), "it is full, and nobody waits");
            }
            let _second = TcpStream::connect(address).await.expect("the backlog takes it");
            while !crowds.recv().await.expect("it looks") {}
            drop(held);
            connections.recv().await.expect("served as soon as there is room");
            while crowds.recv().await.expect("it looks") {}
        };
        tokio::select! {
            never = accepting => match never {},
            () = clients => (),
        }
    }

    #[test]
    fn back_off_grows_to_a_bound() {
        let mut trouble = Trouble::default();
        let error = io::Error::from(Errno::MFILE);
        let waits: Vec<_> = (0..9).map(|_| trouble.next(&error)).collect();
        assert_eq!(waits[0], BACKOFF_FIRST);
        assert_eq!(waits[1], BACKOFF_FIRST * 2);
        assert_eq!(waits[8], BACKOFF_MOST);
        trouble.succeeded();
        assert_eq!(trouble.next(&error), BACKOFF_FIRST);
    }
}
