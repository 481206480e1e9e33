//! What an operator decides about the edge.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use http::HeaderValue;
use url::Url;

use crate::web::extract::ContentLimits;
use crate::web::rate_limit::Quota;

/// The edge's settings. The default ones are safe: nothing is trusted, nobody is let in from elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct EdgeSettings {
    /// The networks of our own proxies, who are believed when they tell for whom they ask. Default none.
    pub trusted_proxies: Vec<Network>,
    /// The header in which our own proxies tell it; the other one is not read. Default `X-Forwarded-For`.
    pub forwarded_header: ForwardedHeader,
    /// Where pages may come from that call this API (CORS). Default nowhere.
    pub allowed_origins: Vec<Origin>,
    /// How long browsers shall insist on https after they reached us by it, as a trusted proxy tells. Zero sends no
    /// `Strict-Transport-Security`. Default a year.
    pub hsts_max_age: Duration,
    /// Bodies from this size on are compressed for clients that accept it. Default 1 KiB.
    pub compression_bytes_min: u64,
    /// What a request's content may cost.
    pub content: ContentLimits,
    /// How often one client address may ask. Default as often as it likes.
    pub rate_limit: Option<Quota>,
    /// Whether the request log tells of every request as it does of probes: only to those who debug. For what machines
    /// ask, again and again. Default no.
    pub log_quietly: bool,
    /// Whether the request log shows query strings, which may hold secrets. Default no.
    pub log_query: bool,
    /// Whether the request log shows paths, which may hold ids of people; the route stands there in any case. Default no.
    pub log_path: bool,
    /// Whether the request log shows user agents, which are personal data. Default no.
    pub log_user_agent: bool,
}

impl Default for EdgeSettings {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::default(),
            allowed_origins: Vec::new(),
            hsts_max_age: Duration::from_secs(365 * 24 * 60 * 60),
            compression_bytes_min: 1024,
            content: ContentLimits::default(),
            rate_limit: None,
            log_quietly: false,
            log_query: false,
            log_path: false,
            log_user_agent: false,
        }
    }
}

/// In which header proxies tell for whom they ask.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, and `X-Forwarded-Proto` beside it.
    #[default]
    XForwardedFor,
    /// `Forwarded`, by RFC 7239.
    Forwarded,
}

impl fmt::Display for ForwardedHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        })
    }
}

/// A text that is not a [`ForwardedHeader`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownForwardedHeader;

impl fmt::Display for UnknownForwardedHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("proxies tell their client by `x-forwarded-for` or `forwarded`")
    }
}

impl std::error::Error for UnknownForwardedHeader {}

impl FromStr for ForwardedHeader {
    type Err = UnknownForwardedHeader;

    fn from_str(text: &str) -> Result<Self, UnknownForwardedHeader> {
        [Self::XForwardedFor, Self::Forwarded]
            .into_iter()
            .find(|header| text.trim().eq_ignore_ascii_case(&header.to_string()))
            .ok_or(UnknownForwardedHeader)
    }
}

/// Some of the internet's addresses, such as `10.0.0.0/8` or `::1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    prefix_bits: u8,
}

impl Network {
    /// Whether the address is one of them. An IPv4 address that came as IPv6 (`::ffff:10.0.0.1`) counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix_bits)).unwrap_or(0);
                (base.to_bits() ^ address.to_bits()) & mask == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix_bits)).unwrap_or(0);
                (base.to_bits() ^ address.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix_bits)
    }
}

/// A text that is not a [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidNetwork;

impl fmt::Display for InvalidNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a network is an address with a prefix length, such as `10.0.0.0/8` or `fd00::/8`")
    }
}

impl std::error::Error for InvalidNetwork {}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (base, prefix) = match text.trim().split_once('/') {
            Some((base, prefix)) => (base, Some(prefix)),
            None => (text.trim(), None),
        };
        let base: IpAddr = base.parse().map_err(|_| InvalidNetwork)?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            None => most,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| InvalidNetwork)?
            }
            Some(_) => return Err(InvalidNetwork),
        };
        if prefix_bits > most { Err(InvalidNetwork) } else { Ok(Self { base, prefix_bits }) }
    }
}

/// Where a page comes from: `https://shop.example`, or `*` for anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(Source);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Anywhere,
    Exactly(String),
}

impl Origin {
    pub(super) fn admits(&self, origin: &HeaderValue) -> bool {
        match &self.0 {
            Source::Anywhere => true,
            Source::Exactly(own) => origin == own.as_str(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Anywhere => f.write_str("*"),
            Source::Exactly(origin) => f.write_str(origin),
        }
    }
}

/// A text that is not an [`Origin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidOrigin;

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an origin is a scheme and a host without a path, such as `https://shop.example`, or `*`")
    }
}

impl std::error::Error for InvalidOrigin {}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let text = text.trim();
        if text == "*" {
            return Ok(Self(Source::Anywhere));
        }
        let url = Url::parse(text).map_err(|_| InvalidOrigin)?;
        // What browsers send is the origin's own spelling: lower case, without a default port and a final slash.
        let origin = url.origin().ascii_serialization();
        if url.origin().is_tuple() && text.trim_end_matches('/').eq_ignore_ascii_case(&origin) {
            Ok(Self(Source::Exactly(origin)))
        } else {
            Err(InvalidOrigin)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().expect(text)
    }

    #[test]
    fn who_is_in_a_network() {
        let table = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe00::1", false),
            ("::/0", "2001:db8::1", true),
        ];
        for (text, address, inside) in table {
            assert_eq!(
                network(text).contains(address.parse().expect(address)),
                inside,
                "{address} in {text}"
            );
        }
    }

    #[test]
    fn what_is_no_network() {
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/+8", "localhost"] {
            assert_eq!(text.parse::<Network>(), Err(InvalidNetwork), "{text}");
        }
        assert_eq!(network(" 192.168.0.0/16 ").to_string(), "192.168.0.0/16");
    }

    #[test]
    fn how_proxies_tell_their_client() {
        for header in [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded] {
            assert_eq!(header.to_string().to_uppercase().parse(), Ok(header));
        }
        assert_eq!("x-real-ip".parse::<ForwardedHeader>(), Err(UnknownForwardedHeader));
    }

    #[test]
    fn what_an_origin_is() {
        let table = [
            ("https://shop.example", "https://shop.example"),
            ("https://Shop.Example/", "https://shop.example"),
            ("http://localhost:5173", "http://localhost:5173"),
            ("*", "*"),
        ];
        for (text, shown) in table {
            assert_eq!(text.parse::<Origin>().map(|origin| origin.to_string()).as_deref(), Ok(shown));
        }
        for text in
            ["shop.example", "https://shop.example/path", "https://a:b@shop.example", "null", "file:///x"]
        {
            assert_eq!(text.parse::<Origin>(), Err(InvalidOrigin), "{text}");
        }
    }
}
