//! What a program asks its PostgreSQL server, counted on the way.
//!
//! A proxy passes bytes on and reads along. Each `Sync` and each simple query is one round trip: the program waits for
//! the answer to go on. Which statement it was is known from `Parse`, by the name that the driver gave it.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::workspace::Result;

/// What came by: the text of each round trip's last statement, in order.
type Log = Arc<Mutex<Vec<String>>>;

/// A proxy in front of a server; it lives as long as the process.
pub(super) struct Wire {
    port: u16,
    log: Log,
}

impl Wire {
    /// Listens for a program, and passes on to the server of this machine at `port`.
    ///
    /// # Errors
    /// When there is no free port.
    pub(super) fn to(port: u16) -> Result<Self> {
        let cannot = |error: std::io::Error| format!("no port for the proxy: {error}");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(cannot)?;
        let wire = Self { port: listener.local_addr().map_err(cannot)?.port(), log: Log::default() };
        let log = Arc::clone(&wire.log);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                // A client that is let down says so itself.
                if let Ok(server) = TcpStream::connect(server) {
                    pass_on(client, server, Arc::clone(&log));
                }
            }
        });
        Ok(wire)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// What came by since it was last asked.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.log))
    }
}

fn lock(log: &Log) -> MutexGuard<'_, Vec<String>> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pass_on(client: TcpStream, server: TcpStream, log: Log) {
    let pairs = (client.try_clone(), server.try_clone());
    let (Ok(answers), Ok(answering)) = pairs else { return };
    for stream in [&client, &server] {
        // Late is not wrong.
        let _ = stream.set_nodelay(true);
    }
    thread::spawn(move || copy(client, server, Reader { log, ..Reader::default() }));
    thread::spawn(move || copy(answering, answers, ()));
}

/// Copies until one side ends, and shows what goes by.
fn copy(mut from: TcpStream, mut to: TcpStream, mut onlooker: impl Onlooker) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        onlooker.see(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    for stream in [&from, &to] {
        // The other direction may have ended both already.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

trait Onlooker {
    fn see(&mut self, bytes: &[u8]);
}

impl Onlooker for () {
    fn see(&mut self, _: &[u8]) {}
}

/// Reads the messages of one program.
#[derive(Default)]
struct Reader {
    /// What is not a whole message yet.
    rest: Vec<u8>,
    has_begun: bool,
    statements: HashMap<Vec<u8>, String>,
    current: Option<String>,
    log: Log,
}

impl Onlooker for Reader {
    fn see(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let rest = std::mem::take(&mut self.rest);
        let mut left = rest.as_slice();
        loop {
            // The first message has no kind: it is the greeting.
            let head = usize::from(self.has_begun);
            let Some(length) = left.get(head..head + 4) else { break };
            let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
            let Some(body) = left.get(head + 4..head + length) else { break };
            if self.has_begun {
                self.message(left[0], body);
            }
            self.has_begun = true;
            left = &left[head + length..];
        }
        self.rest = left.to_vec();
    }
}

impl Reader {
    fn message(&mut self, kind: u8, body: &[u8]) {
        let mut texts = body.split(|&byte| byte == 0);
        let first = texts.next().unwrap_or_default();
        let second = texts.next().unwrap_or_default();
        match kind {
            b'P' => {
                self.statements.insert(first.to_vec(), String::from_utf8_lossy(second).into_owned());
            }
            b'B' => self.current = self.statements.get(second).cloned(),
            b'Q' => lock(&self.log).push(String::from_utf8_lossy(first).into_owned()),
            b'S' => lock(&self.log).push(self.current.take().unwrap_or_else(|| "(prepares)".to_owned())),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).expect("a short message").to_be_bytes();
        [&[kind], length.as_slice(), body].concat()
    }

    #[test]
    fn round_trips_are_counted_across_reads_and_named_by_their_statements() {
        let bytes = [
            [0, 0, 0, 9, 0, 3, 0, 0, 0].to_vec(),
            message(b'P', b"s1\0SELECT 1\0\0\0"),
            message(b'S', b""),
            message(b'B', b"\0s1\0\0\0"),
            message(b'E', b"\0\0\0\0\0"),
            message(b'S', b""),
            message(b'Q', b"BEGIN\0"),
        ]
        .concat();
        for size in 1..bytes.len() {
            let mut reader = Reader::default();
            bytes.chunks(size).for_each(|part| reader.see(part));
            assert_eq!(*lock(&reader.log), ["(prepares)", "SELECT 1", "BEGIN"], "in reads of {size}");
        }
    }
}
