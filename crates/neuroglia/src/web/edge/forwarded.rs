//! Who the client is when proxies stand between.
//!
//! Every proxy appends whom it talked to, so the list is read from its end: as long as an address is one of our own
//! proxies, the one before it was written by that proxy and is believed. What a stranger wrote in front stays unread.
//!
//! There are two spellings of that list, and a proxy that writes one of them passes on the other as it came. So only
//! the one that our proxies write is read at all.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

use super::settings::{ForwardedHeader, Network};

/// Who asks, and by which scheme they reached the outermost proxy of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) address: IpAddr,
    pub(super) is_https: bool,
}

/// The client of a request from `peer`.
pub(super) fn client(
    peer: IpAddr,
    headers: &HeaderMap,
    trusted: &[Network],
    written: ForwardedHeader,
) -> Client {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = Client { address: peer.to_canonical(), is_https: false };
    if !is_trusted(peer) {
        return client;
    }
    let hops = match written {
        ForwardedHeader::XForwardedFor => x_forwarded(headers),
        ForwardedHeader::Forwarded => forwarded(headers),
    };
    for hop in hops.into_iter().rev() {
        if !is_trusted(client.address) {
            break;
        }
        client.is_https = hop.is_https;
        match hop.address {
            Some(address) => client.address = address.to_canonical(),
            // Whom that proxy talked to is hidden or garbled; nothing before it can be checked.
            None => break,
        }
    }
    client
}

/// What one proxy wrote.
struct Hop {
    address: Option<IpAddr>,
    is_https: bool,
}

/// RFC 7239.
fn forwarded(headers: &HeaderMap) -> Vec<Hop> {
    list(headers, "forwarded")
        .map(|element| {
            let mut hop = Hop { address: None, is_https: false };
            for pair in element.split(';') {
                let Some((name, value)) = pair.split_once('=') else { continue };
                let value = value.trim().trim_matches('"');
                if name.trim().eq_ignore_ascii_case("for") {
                    hop.address = address(value);
                } else if name.trim().eq_ignore_ascii_case("proto") {
                    hop.is_https = value.eq_ignore_ascii_case("https");
                }
            }
            hop
        })
        .collect()
}

fn x_forwarded(headers: &HeaderMap) -> Vec<Hop> {
    let protos: Vec<bool> =
        list(headers, "x-forwarded-proto").map(|proto| proto.eq_ignore_ascii_case("https")).collect();
    let addresses: Vec<Option<IpAddr>> = list(headers, "x-forwarded-for").map(address).collect();
    if addresses.is_empty() {
        return protos.last().map(|&is_https| Hop { address: None, is_https }).into_iter().collect();
    }
    // Either every proxy wrote a scheme, or one did for all.
    let one_each = protos.len() == addresses.len();
    let proto = |index: usize| if one_each { protos[index] } else { protos.last().copied().unwrap_or(false) };
    addresses
        .into_iter()
        .enumerate()
        .map(|(index, address)| Hop { address, is_https: proto(index) })
        .collect()
}

/// The elements of a list. Each is read by itself: a stranger's, which is no text, does not hide those behind it.
fn list<'a>(headers: &'a HeaderMap, name: &'static str) -> impl Iterator<Item = &'a str> {
    let elements =
        headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    elements.map(|element| str::from_utf8(element).unwrap_or_default().trim())
}

/// An address with or without a port; IPv6 in brackets or bare.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(written: ForwardedHeader, peer: &str, headers: &[(&'static str, &str)]) -> (String, bool) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a header value"));
        }
        let trusted = ["10.0.0.0/8".parse().expect("a network"), "::1".parse().expect("a network")];
        let client = client(peer.parse().expect("an address"), &map, &trusted, written);
        (client.address.to_string(), client.is_https)
    }

    /// The peer, the headers, and whom they make the client.
    type Case = (&'static str, &'static [(&'static str, &'static str)], (&'static str, bool));

    #[test]
    fn only_what_our_own_proxies_wrote_is_believed() {
        const FOR: &str = "x-forwarded-for";
        const PROTO: &str = "x-forwarded-proto";
        let x_forwarded_for: [Case; 13] = [
            ("203.0.113.1", &[(FOR, "198.51.100.1"), (PROTO, "https")], ("203.0.113.1", false)),
            ("10.0.0.1", &[], ("10.0.0.1", false)),
            ("10.0.0.1", &[(FOR, "198.51.100.1")], ("198.51.100.1", false)),
            ("10.0.0.1", &[(FOR, "198.51.100.1"), (PROTO, "https")], ("198.51.100.1", true)),
            ("10.0.0.1", &[(PROTO, "https")], ("10.0.0.1", true)),
            ("10.0.0.1", &[(FOR, "6.6.6.6, 198.51.100.1")], ("198.51.100.1", false)),
            ("10.0.0.1", &[(FOR, "6.6.6.6, 198.51.100.1, 10.0.0.9")], ("198.51.100.1", false)),
            ("10.0.0.1", &[(FOR, "6.6.6.6"), (FOR, "198.51.100.1")], ("198.51.100.1", false)),
            ("10.0.0.1", &[(FOR, "198.51.100.1:4711, nonsense")], ("10.0.0.1", false)),
            ("10.0.0.1", &[(FOR, "10.0.0.2, 10.0.0.3")], ("10.0.0.2", false)),
            ("::ffff:10.0.0.1", &[(FOR, "[2001:db8::1]:80")], ("2001:db8::1", false)),
            // A stranger wrote the spelling that our proxy does not look at.
            ("::1", &[("forwarded", "for=6.6.6.6;proto=https")], ("::1", false)),
            (
                "::1",
                &[("forwarded", "for=6.6.6.6;proto=https"), (FOR, "198.51.100.1")],
                ("198.51.100.1", false),
            ),
        ];
        let forwarded: [Case; 4] = [
            ("::1", &[("forwarded", "for=\"[2001:db8::1]:80\";proto=https")], ("2001:db8::1", true)),
            (
                "::1",
                &[("forwarded", "for=6.6.6.6;proto=http, For=198.51.100.1; Proto=HTTPS"), (FOR, "7.7.7.7")],
                ("198.51.100.1", true),
            ),
            ("::1", &[("forwarded", "for=_hidden;proto=https")], ("::1", true)),
            ("::1", &[(FOR, "6.6.6.6"), (PROTO, "https")], ("::1", false)),
        ];
        let opaque = [("x-forwarded-for", "\u{ff}, 198.51.100.1")];
        assert_eq!(ask(ForwardedHeader::XForwardedFor, "10.0.0.1", &opaque).0, "198.51.100.1");
        let first = x_forwarded_for.map(|case| (ForwardedHeader::XForwardedFor, case));
        let second = forwarded.map(|case| (ForwardedHeader::Forwarded, case));
        for (written, (peer, headers, (address, is_https))) in first.into_iter().chain(second) {
            let told = ask(written, peer, headers);
            assert_eq!(told, (address.to_owned(), is_https), "{written} {peer} {headers:?}");
        }
    }
}
