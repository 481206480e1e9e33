//! Malformed requests: every one is answered with a problem document or closed, and none of them costs the next
//! client anything.
//!
//! Many of these shapes are known from request smuggling: two parties on the way read the same bytes as different
//! requests. What matters for those is that the server never sees a second request where another reader sees a body;
//! so the table names each answer that comes, in order. They go to the executable as it ships, through every layer.

use std::io::ErrorKind;
use std::thread;

use super::{Premises, Process};

/// What is sent, and the statuses that come back before the connection ends.
type Case = (&'static str, &'static [u8], &'static [u16]);

#[rustfmt::skip]
const CASES: &[Case] = &[
    // The request line.
    ("no request at all", b"nonsense\r\n\r\n", &[400]),
    ("only line ends", b"\r\n\r\n\r\n", &[408]),
    ("line ends before a request", b"\r\n\r\nGET /health/live HTTP/1.1\r\nHost: t\r\n\r\n", &[200]),
    ("a method and nothing else", b"GET\r\n\r\n", &[400]),
    ("HTTP/0.9", b"GET /\r\n\r\n", &[400]),
    ("no target", b"GET  HTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("two spaces before the version", b"GET /health/live  HTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("a tab for a space", b"GET\t/health/live\tHTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("a leading space", b" GET /health/live HTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("a space in the target", b"GET /a b HTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("a control character in the target", b"GET /\x01 HTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("NUL in the target", b"GET /\0 HTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("a target that is no path", b"GET nowhere HTTP/1.1\r\nHost: t\r\n\r\n", &[404]),
    ("a broken absolute target", b"GET http:// HTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("an asterisk for GET", b"GET * HTTP/1.1\r\nHost: t\r\n\r\n", &[404]),
    ("a port out of range", b"GET http://t:99999999/health/live HTTP/1.1\r\nHost: t\r\n\r\n", &[200]),
    ("a path that climbs", b"GET /../../etc/passwd HTTP/1.1\r\nHost: t\r\n\r\n", &[404]),
    ("an escaped path that climbs", b"GET /%2e%2e%2f%00 HTTP/1.1\r\nHost: t\r\n\r\n", &[404]),
    ("a broken escape", b"GET /%zz HTTP/1.1\r\nHost: t\r\n\r\n", &[404]),
    ("an absurd method", b"BREW /health/live HTTP/1.1\r\nHost: t\r\n\r\n", &[405]),
    ("a method in lower case", b"get /health/live HTTP/1.1\r\nHost: t\r\n\r\n", &[405]),
    ("a method with a comma", b"GET, /health/live HTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("a method with NUL", b"G\0T /health/live HTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("a method that is not ASCII", b"G\xc3\x89T /health/live HTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("CONNECT to a host", b"CONNECT t:443 HTTP/1.1\r\nHost: t\r\n\r\n", &[404]),
    ("CONNECT to a path", b"CONNECT /health/live HTTP/1.1\r\nHost: t\r\n\r\n", &[405]),
    ("TRACE", b"TRACE /health/live HTTP/1.1\r\nHost: t\r\n\r\n", &[405]),
    // Versions.
    ("HTTP/1.2", b"GET /health/live HTTP/1.2\r\nHost: t\r\n\r\n", &[400]),
    ("HTTP/2.0 in the line", b"GET /health/live HTTP/2.0\r\nHost: t\r\n\r\n", &[400]),
    ("HTTP/9", b"GET /health/live HTTP/9\r\nHost: t\r\n\r\n", &[400]),
    ("a version in lower case", b"GET /health/live http/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("another protocol", b"GET /health/live RTSP/1.0\r\nHost: t\r\n\r\n", &[400]),
    ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", &[400]),
    ("an SSH banner", b"SSH-2.0-OpenSSH_9.9\r\n", &[400]),
    ("a broken HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", &[400]),
    ("a late HTTP/2 preface", b"GET /health/live HTTP/1.1\r\nHost: t\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[200]),
    ("HTTP/2 that sends no settings", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET /health/live HTTP/1.1\r\n\r\n", &[]),
    ("an HTTP/2 frame too large", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\x04\0\0\0\0\0", &[]),
    // Line ends and folding.
    ("bare line feeds", b"GET /health/live HTTP/1.1\nHost: t\n\n", &[200]),
    ("bare carriage returns", b"GET /health/live HTTP/1.1\rHost: t\r\r", &[408]),
    ("a bare carriage return in a value", b"GET /health/live HTTP/1.1\r\nHost: t\r\nX: a\rb\r\n\r\n", &[400]),
    ("a folded field", b"GET /health/live HTTP/1.1\r\nHost: t\r\nX: a\r\n b\r\n\r\n", &[400]),
    ("a folded first field", b"GET /health/live HTTP/1.1\r\n Host: t\r\n\r\n", &[400]),
    // Header fields.
    ("a field without a colon", b"GET /health/live HTTP/1.1\r\nHost: t\r\nX\r\n\r\n", &[400]),
    ("a field without a name", b"GET /health/live HTTP/1.1\r\nHost: t\r\n: x\r\n\r\n", &[400]),
    ("a space before the colon", b"GET /health/live HTTP/1.1\r\nHost: t\r\nX : y\r\n\r\n", &[400]),
    ("a space in a name", b"GET /health/live HTTP/1.1\r\nHost: t\r\nX Y: z\r\n\r\n", &[400]),
    ("NUL in a name", b"GET /health/live HTTP/1.1\r\nHost: t\r\nX\0: y\r\n\r\n", &[400]),
    ("NUL in a value", b"GET /health/live HTTP/1.1\r\nHost: t\r\nX: \0\r\n\r\n", &[400]),
    ("a control character in a value", b"GET /health/live HTTP/1.1\r\nHost: t\r\nX: \x08\r\n\r\n", &[400]),
    ("DEL in a value", b"GET /health/live HTTP/1.1\r\nHost: t\r\nX: \x7f\r\n\r\n", &[400]),
    ("a name that is not ASCII", b"GET /health/live HTTP/1.1\r\nHost: t\r\n\xc3\xa9: y\r\n\r\n", &[400]),
    ("a value that is not ASCII", b"GET /health/live HTTP/1.1\r\nHost: t\r\nX: \xff\xfe\r\n\r\n", &[200]),
    ("no host", b"GET /health/live HTTP/1.1\r\n\r\n", &[400]),
    ("two hosts", b"GET /health/live HTTP/1.1\r\nHost: t\r\nHost: u\r\n\r\n", &[400]),
    ("half a head", b"GET /health/live HTTP/1.1\r\nHost: t\r\n", &[408]),
    // The length of the body.
    ("two lengths", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", &[400]),
    ("a list of lengths", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 3, 4\r\n\r\nabcd", &[400]),
    ("a negative length", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: -1\r\n\r\n", &[400]),
    ("a signed length", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: +3\r\n\r\nabc", &[400]),
    ("a length in hex", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 0x3\r\n\r\nabc", &[400]),
    ("a fractional length", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 3.0\r\n\r\nabc", &[400]),
    ("an empty length", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length:\r\n\r\n", &[400]),
    ("a length beyond 64 bits", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 99999999999999999999\r\n\r\n", &[400]),
    ("a length that hyper reserves for itself", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 18446744073709551615\r\n\r\n", &[431]),
    ("a very large length", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 9223372036854775807\r\n\r\n", &[413]),
    ("a length that is a word", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: many\r\n\r\n", &[400]),
    ("a body that does not come", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\nabc", &[408]),
    // Two ways to say the length: the chunks count, and the connection ends.
    ("a length, then chunks", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /health/live HTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("chunks, then a length", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nContent-Length: 40\r\n\r\n0\r\n\r\nGET /health/live HTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("chunks over HTTP/1.0", b"POST /api/v1/orders HTTP/1.0\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400]),
    ("an unknown coding", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", &[400]),
    ("chunked, but not last", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", &[400]),
    ("chunked and then another", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", &[400]),
    ("a coding with a vertical tab", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", &[400]),
    ("a coding with a space before its colon", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", &[400]),
    ("an empty coding", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n", &[400]),
    // Chunks.
    ("a chunk size that is none", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", &[400]),
    ("a negative chunk", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", &[400]),
    ("a chunk size with a prefix", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", &[400]),
    ("a chunk size beyond 64 bits", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", &[400]),
    ("an enormous chunk", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc", &[408]),
    ("a chunk with a wrong end", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXX0\r\n\r\n", &[400]),
    ("a chunk size ended by a line feed", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", &[400]),
    ("a line feed in a chunk extension", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n3;a\nb\r\nabc\r\n0\r\n\r\n", &[400]),
    ("a chunk without a size", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\n", &[400]),
    ("chunks without an end", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", &[408]),
    ("a broken trailer", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nno colon\r\n\r\n", &[400]),
    // What follows a request.
    ("rubbish after a body", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\nabcrubbish\r\n\r\n", &[400, 400]),
    ("a request after an end", b"GET /health/live HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\nGET /health/live HTTP/1.1\r\nHost: t\r\n\r\n", &[200]),
    ("a strange expectation", b"POST /api/v1/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nExpect: miracles\r\nContent-Length: 3\r\n\r\nabc", &[400]),
    ("an upgrade to nothing", b"GET /health/live HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: \r\n\r\n", &[200]),
    ("an upgrade to h2c", b"GET /health/live HTTP/1.1\r\nHost: t\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n", &[200]),
];

/// Sends one case, checks each answer, and returns the statuses.
fn play(process: &Process, name: &str, bytes: &[u8]) -> Vec<u16> {
    let mut client = process.connect();
    // The server may refuse, and close, before it has everything.
    let _ = client.send(bytes);
    let mut statuses = Vec::new();
    if bytes.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") {
        // It answers in frames, if at all; what counts is that it ends.
        let _ = client.until_end();
        return statuses;
    }
    loop {
        match client.answer() {
            Ok(answer) => {
                if answer.status >= 400 {
                    let code = answer.json()["code"].as_str().map(str::to_owned);
                    answer.assert_problem(answer.status, &code.unwrap_or_else(|| panic!("{name}: no code")));
                }
                statuses.push(answer.status);
            }
            Err(end) if matches!(end.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                return statuses;
            }
            Err(other) => panic!("{name}: {other}"),
        }
    }
}

#[test]
fn malformed_requests_are_refused_and_cost_nobody_else_anything() {
    assert!(CASES.len() >= 60);
    let process = Premises::furnished()
        .set("HTTP_HEADER_TIMEOUT", "500ms")
        .set("HTTP_IDLE_TIMEOUT", "500ms")
        .set("HTTP_REQUEST_TIMEOUT", "500ms")
        .open();
    let surprises: Vec<String> = thread::scope(|scope| {
        let play = |&(name, bytes, expected): &Case| {
            let statuses = play(&process, name, bytes);
            assert_eq!(process.get("/api/v1/pizzas/margherita").status, 200, "after {name}");
            (statuses != expected).then(|| format!("{name}: {statuses:?} and not {expected:?}"))
        };
        let playing: Vec<_> = CASES.iter().map(|case| scope.spawn(move || play(case))).collect();
        playing.into_iter().filter_map(|played| played.join().expect("no panic")).collect()
    });
    assert!(surprises.is_empty(), "{surprises:#?}");
    assert!(process.is_running());
    let finished = process.close();
    finished.assert_code(0);
    assert!(!finished.stdout.contains("\"level\":\"ERROR\""), "{}", finished.stdout);
}
