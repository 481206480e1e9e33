//! Whether the application is ready: one `GET /health/ready` over a bare socket.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(1);
const HEAD_BYTES_MAX: usize = 1024;

/// Whether the application at `address` says that it can serve.
pub(crate) fn is_ready(address: SocketAddr) -> bool {
    status_of_readiness(reachable(address)).is_some_and(|status| status == 200)
}

/// The address by which this machine reaches a listener.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(host, address.port())
}

fn status_of_readiness(address: SocketAddr) -> Option<u16> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).ok()?;
    stream.set_write_timeout(Some(TIMEOUT)).ok()?;
    let request = format!("GET /health/ready HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;

    // The status is in the first line; what follows does not matter.
    let mut head = [0; HEAD_BYTES_MAX];
    let mut length = 0;
    while length < head.len() && !head[..length].contains(&b'\n') {
        match stream.read(&mut head[length..]).ok()? {
            0 => break,
            read => length += read,
        }
    }
    status_in(&head[..length])
}

fn status_in(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head.split(|&byte| byte == b'\r').next()?).ok()?;
    let (version, rest) = line.split_once(' ')?;
    if !version.starts_with("HTTP/1.") {
        return None;
    }
    rest.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_status_is_read_from_the_first_line() {
        assert_eq!(status_in(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n"), Some(200));
        assert_eq!(status_in(b"HTTP/1.1 503 Service Unavailable\r\n"), Some(503));
        assert_eq!(status_in(b"SSH-2.0-OpenSSH_9.2\r\n"), None);
        assert_eq!(status_in(b""), None);
    }

    #[test]
    fn only_200_is_ready() {
        for (answer, expected) in
            [("HTTP/1.1 200 OK\r\n\r\n", true), ("HTTP/1.1 503 No\r\n\r\n", false), ("", false)]
        {
            let listener = TcpListener::bind("127.0.0.1:0").expect("the machine has a free port");
            let address = listener.local_addr().expect("it is bound");
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().expect("a client comes");
                let mut request = [0; 1024];
                let length = stream.read(&mut request).expect("it asks");
                stream.write_all(answer.as_bytes()).expect("it listens");
                String::from_utf8_lossy(&request[..length]).into_owned()
            });
            assert_eq!(is_ready(address), expected, "{answer:?}");
            assert!(server.join().expect("it does not panic").starts_with("GET /health/ready HTTP/1.1\r\n"));
        }
    }

    #[test]
    fn nobody_there_is_not_ready() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the machine has a free port");
        let address = listener.local_addr().expect("it is bound");
        drop(listener);
        assert!(!is_ready(address));
    }
}
