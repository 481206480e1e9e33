//! The water between processes and their database: bytes pass, or wait, or are lost with the connection.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A port that passes everything on to another one.
pub(crate) struct Strait {
    port: u16,
    water: Arc<Water>,
}

struct Water {
    shore: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Nothing passes; what is under way waits.
    is_silent: bool,
    streams: Vec<TcpStream>,
}

impl Strait {
    /// A way to the port on the other side.
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let own = listener.local_addr().expect("it has an address").port();
        let shore = SocketAddr::from(([127, 0, 0, 1], port));
        let water = Arc::new(Water { shore, state: Mutex::default(), changed: Condvar::new() });
        let passing = Arc::clone(&water);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let passing = Arc::clone(&passing);
                std::thread::spawn(move || passing.ferry(stream.ok()?));
            }
        });
        Self { port: own, water }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Lets nothing pass, and answers nobody.
    pub(crate) fn fall_silent(&self) {
        self.water.state().is_silent = true;
    }

    /// Lets everything pass again, also what has waited.
    pub(crate) fn speak(&self) {
        self.water.state().is_silent = false;
        self.water.changed.notify_all();
    }

    /// Cuts every connection; gives how many there were.
    pub(crate) fn cut(&self) -> usize {
        let streams = std::mem::take(&mut self.water.state().streams);
        for stream in &streams {
            // It may have been closed a moment ago.
            let _ = stream.shutdown(Shutdown::Both);
        }
        streams.len()
    }
}

impl Water {
    /// Carries a connection's bytes, in both directions.
    fn ferry(self: Arc<Self>, client: TcpStream) -> Option<()> {
        let Ok(server) = TcpStream::connect(self.shore) else {
            // Nobody listens over there; here it looks alike.
            return client.shutdown(Shutdown::Both).ok();
        };
        let (from_client, from_server) = (client.try_clone().ok()?, server.try_clone().ok()?);
        self.state().streams.extend([client.try_clone().ok()?, server.try_clone().ok()?]);
        let back = Arc::clone(&self);
        std::thread::spawn(move || back.carry(from_server, client));
        self.carry(from_client, server);
        Some(())
    }

    fn carry(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut bytes = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let waiting = self.changed.wait_while(self.state(), |state| state.is_silent);
            drop(waiting.unwrap_or_else(PoisonError::into_inner));
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        // Whoever sits at the other end learns that this one has gone.
        let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
