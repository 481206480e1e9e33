//! A process asked for its health from beside it: by its own executable, in an image that has no other program.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use neuroglia_core::settings::Secret;
use zeroize::Zeroizing;

/// How long the whole question may take; platforms give a probe about three seconds, the start of this process included.
const TIMEOUT: Duration = Duration::from_secs(2);
const ANSWER_BYTES_MAX: usize = 1024;

/// What is not well, or why nothing is known.
#[derive(Debug)]
pub(crate) enum Unwell {
    /// Nobody listens there.
    Away(String),
    /// Somebody listens, and does not say that all is well.
    Ill(String),
}

impl fmt::Display for Unwell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Away(what) | Self::Ill(what)) = self;
        formatter.write_str(what)
    }
}

/// Asks once; well is only 200.
///
/// # Errors
/// What is not well, or why nothing is known.
pub(crate) fn ask(address: SocketAddr, path: &str, token: Option<&Secret<String>>) -> Result<(), Unwell> {
    let deadline = Instant::now() + TIMEOUT;
    if address.port() == 0 {
        return Err(Unwell::Away(
            "the port is 0, which is a free one that nobody else knows: set it".to_owned(),
        ));
    }
    let address = reachable(address);
    let failed = |error: std::io::Error| {
        let told = format!("{address} does not answer: {error}");
        if error.kind() == ErrorKind::ConnectionRefused { Unwell::Away(told) } else { Unwell::Ill(told) }
    };
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).map_err(failed)?;
    stream.set_write_timeout(Some(TIMEOUT)).map_err(failed)?;

    let mut request =
        Zeroizing::new(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n"));
    if let Some(token) = token {
        request.push_str("authorization: Bearer ");
        request.push_str(token.expose());
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).map_err(failed)?;

    let mut answer = [0; ANSWER_BYTES_MAX];
    let mut length = 0;
    while length < answer.len() && !answer[..length].contains(&b'\n') {
        let left = deadline.saturating_duration_since(Instant::now());
        // Nothing cannot be set: it would mean for ever.
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1)))).map_err(failed)?;
        match stream.read(&mut answer[length..]).map_err(failed)? {
            0 => break,
            read => length += read,
        }
        if left.is_zero() {
            return Err(Unwell::Ill(format!("{address} does not answer within {TIMEOUT:?}")));
        }
    }
    let line = String::from_utf8_lossy(&answer[..length]);
    match line.split_whitespace().nth(1) {
        Some("200") if line.starts_with("HTTP/1.") => Ok(()),
        Some(status) if line.starts_with("HTTP/1.") => {
            Err(Unwell::Ill(format!("{address} answers {status}")))
        }
        _ => Err(Unwell::Ill(format!("{address} does not speak HTTP"))),
    }
}

/// Where this machine reaches a listener.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip: IpAddr = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn only_200_is_well() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\n", ""),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", "answers 503"),
            ("SSH-2.0-OpenSSH_9.2 200\r\n", "does not speak HTTP"),
            ("", "does not speak HTTP"),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").expect("the machine has a free port");
            let address = listener.local_addr().expect("it is bound");
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().expect("a client comes");
                let mut request = [0; 1024];
                let length = stream.read(&mut request).expect("it asks");
                stream.write_all(answer.as_bytes()).expect("it listens");
                String::from_utf8_lossy(&request[..length]).into_owned()
            });
            let everywhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
            let token = Secret::new("s3cret".to_owned());
            let told = ask(everywhere, "/health/live", Some(&token)).err();
            assert!(!matches!(told, Some(Unwell::Away(_))), "somebody is there: {told:?}");
            let told = told.map(|unwell| unwell.to_string()).unwrap_or_default();
            assert!(told.ends_with(expected) && expected.is_empty() == told.is_empty(), "{answer:?}: {told}");
            let request = server.join().expect("it does not panic");
            assert!(request.starts_with("GET /health/live HTTP/1.1\r\n"), "{request}");
            assert!(request.contains("\r\nauthorization: Bearer s3cret\r\n"), "{request}");
        }
    }

    #[test]
    fn nobody_there_is_not_well() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the machine has a free port");
        let address = listener.local_addr().expect("it is bound");
        drop(listener);
        let away = |address: SocketAddr| match ask(address, "/health", None) {
            Err(Unwell::Away(told)) => told,
            other => panic!("{other:?}"),
        };
        assert!(away(address).contains("does not answer"));
        assert!(away(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)).contains("port is 0"));
    }
}
