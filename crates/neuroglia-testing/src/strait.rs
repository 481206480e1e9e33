//! The water between processes and what they are attached to: bytes pass, or wait, or are lost with the connection.
//!
//! It makes a resource ill without touching it, for tests that ask what the application does then.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How a resource looks from this side of a [`Strait`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weather {
    /// Everything passes.
    #[default]
    Fair,
    /// Nothing passes and nobody is answered; what is under way waits.
    Silent,
    /// Each piece of up to 16 KiB takes so much longer, in both directions.
    Slow(Duration),
    /// What goes over passes, and nothing comes back.
    HalfOpen,
    /// Whoever comes is sent away at once.
    Closed,
}

/// A port of the loopback interface that passes everything on to another one.
pub struct Strait {
    port: u16,
    water: Arc<Water>,
}

struct Water {
    /// The port on the other side.
    shore: AtomicU16,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    weather: Weather,
    /// Both ends of each connection, by the number of its passage.
    passages: BTreeMap<u64, [TcpStream; 2]>,
    begun: u64,
}

impl Strait {
    /// A way to the port on the other side.
    ///
    /// # Panics
    /// When no port is free.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let own = listener.local_addr().expect("it has an address").port();
        let water =
            Arc::new(Water { shore: AtomicU16::new(port), state: Mutex::default(), changed: Condvar::new() });
        let passing = Arc::clone(&water);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let passing = Arc::clone(&passing);
                thread::spawn(move || passing.ferry(stream.ok()?));
            }
        });
        Self { port: own, water }
    }

    /// Where its near end is.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Leads new connections to another port from now on: where a resource is that was started again.
    pub fn lead_to(&self, port: u16) {
        self.water.shore.store(port, Ordering::SeqCst);
    }

    /// Lets the weather change. What waited passes when it becomes fair; when it is closed, every connection is cut.
    pub fn turn(&self, weather: Weather) {
        self.water.state().weather = weather;
        self.water.changed.notify_all();
        if weather == Weather::Closed {
            self.cut();
        }
    }

    /// Cuts every connection; gives how many there were.
    pub fn cut(&self) -> usize {
        let passages = std::mem::take(&mut self.water.state().passages);
        for stream in passages.values().flatten() {
            // It may have been closed a moment ago.
            let _ = stream.shutdown(Shutdown::Both);
        }
        passages.len()
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.water.state().passages.len()
    }
}

impl fmt::Debug for Strait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Strait from {} to {}", self.port, self.water.shore().port())
    }
}

/// The way that bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Course {
    Over,
    Back,
}

impl Water {
    /// Carries a connection's bytes, in both directions.
    fn ferry(self: Arc<Self>, client: TcpStream) -> Option<()> {
        let is_closed = self.state().weather == Weather::Closed;
        let Some(server) = (!is_closed).then(|| TcpStream::connect(self.shore()).ok()).flatten() else {
            // Nobody listens over there; here it looks alike.
            return client.shutdown(Shutdown::Both).ok();
        };
        let (from_client, from_server) = (client.try_clone().ok()?, server.try_clone().ok()?);
        let number = self.begin([client.try_clone().ok()?, server.try_clone().ok()?])?;
        let back = Arc::clone(&self);
        thread::spawn(move || back.carry(Course::Back, from_server, client));
        self.carry(Course::Over, from_client, server);
        self.state().passages.remove(&number);
        Some(())
    }

    /// Lists a connection, so that it can be cut; none when the weather was closed meanwhile.
    fn begin(&self, streams: [TcpStream; 2]) -> Option<u64> {
        let mut state = self.state();
        if state.weather == Weather::Closed {
            let _ = streams.map(|stream| stream.shutdown(Shutdown::Both));
            return None;
        }
        state.begun += 1;
        let number = state.begun;
        state.passages.insert(number, streams);
        Some(number)
    }

    fn shore(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.shore.load(Ordering::SeqCst)))
    }

    fn carry(&self, course: Course, mut from: TcpStream, mut to: TcpStream) {
        let mut bytes = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let mut weather = self.wait_to_pass(course);
            if let Weather::Slow(delay) = weather {
                thread::park_timeout(delay);
                weather = self.wait_to_pass(course);
            }
            if weather == Weather::Closed || to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        // Whoever sits at the other end learns that this one has gone.
        let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
    }

    /// Waits until something may pass; gives the weather then.
    fn wait_to_pass(&self, course: Course) -> Weather {
        let is_held = |state: &mut State| match state.weather {
            Weather::Silent => true,
            Weather::HalfOpen => course == Course::Back,
            Weather::Fair | Weather::Slow(_) | Weather::Closed => false,
        };
        let state = self.changed.wait_while(self.state(), is_held);
        state.unwrap_or_else(PoisonError::into_inner).weather
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than a busy machine takes to notice the end of a connection.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// A strait to somebody who says everything again.
    fn to_echo() -> Strait {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it has an address").port();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut heard = stream.try_clone().expect("a clone");
                    std::io::copy(&mut heard, &mut stream)
                });
            }
        });
        Strait::to(port)
    }

    fn connect(strait: &Strait) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", strait.port())).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        stream
    }

    #[test]
    fn whoever_comes_while_it_is_being_closed_is_cut_too() {
        let strait = to_echo();
        for _ in 0..300 {
            let mut client = connect(&strait);
            // The other side may be on its way, or be there.
            thread::yield_now();
            strait.turn(Weather::Closed);
            let read = client.read(&mut [0]);
            let is_late = |error: &std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
            assert!(!read.as_ref().is_err_and(is_late), "the connection was left");
            assert_ne!(read.ok(), Some(1), "nothing passes");
            strait.turn(Weather::Fair);
        }
    }

    #[test]
    fn what_has_ended_is_not_kept() {
        let strait = to_echo();
        for _ in 0..20 {
            let mut client = connect(&strait);
            client.write_all(b"x").and_then(|()| client.read_exact(&mut [0])).expect("it passes");
        }
        let began = std::time::Instant::now();
        while strait.connections() > 0 {
            assert!(began.elapsed() < PATIENCE, "{} are kept", strait.connections());
            thread::park_timeout(Duration::from_millis(1));
        }
    }
}
