//! Bytes that never change while the process runs, as they are sent.

use std::io::{Read, Write};
use std::sync::{LazyLock, OnceLock};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, header};

use crate::web::edge::accepts_gzip;

/// Something that is served as it is.
#[derive(Debug)]
pub(super) struct Asset {
    content_type: &'static str,
    cache_control: &'static str,
    content: Content,
    tag: OnceLock<HeaderValue>,
}

/// Makes bytes when they are first asked for.
type Making = Box<dyn FnOnce() -> Bytes + Send>;

#[derive(Debug)]
enum Content {
    /// Compressed when it was vendored; inflated once, for the few clients that cannot.
    Compressed { bytes: &'static [u8], plain: OnceLock<Bytes> },
    /// Made for the first client, and compressed for the first that accepts it.
    Plain { bytes: LazyLock<Bytes, Making>, compressed: OnceLock<Bytes> },
}

impl Asset {
    /// What a browser may keep for ever, because its path has its version.
    pub(super) const fn vendored(content_type: &'static str, gzip: &'static [u8]) -> Self {
        Self {
            content_type,
            cache_control: "public, max-age=31536000, immutable",
            content: Content::Compressed { bytes: gzip, plain: OnceLock::new() },
            tag: OnceLock::new(),
        }
    }

    /// What a browser has to ask for again, and gets again when it has changed. It is made when it is first asked for.
    pub(super) fn current<B: Into<Bytes>>(
        content_type: &'static str,
        make: impl FnOnce() -> B + Send + 'static,
    ) -> Self {
        let make: Making = Box::new(|| make().into());
        Self {
            content_type,
            cache_control: "no-cache",
            content: Content::Plain { bytes: LazyLock::new(make), compressed: OnceLock::new() },
            tag: OnceLock::new(),
        }
    }

    /// The answer to a request with these headers. Whether the client has it already is judged by the edge.
    pub(super) fn respond(&self, request: &HeaderMap) -> Response {
        let gzip = request.get_all(header::ACCEPT_ENCODING).iter().any(accepts_gzip);
        let body = match &self.content {
            Content::Compressed { bytes, .. } if gzip => Bytes::from_static(bytes),
            Content::Compressed { bytes, plain } => plain.get_or_init(|| inflate(bytes)).clone(),
            Content::Plain { bytes, compressed } if gzip => compressed.get_or_init(|| deflate(bytes)).clone(),
            Content::Plain { bytes, .. } => Bytes::clone(bytes),
        };
        let mut response = Response::new(Body::from(body));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(self.cache_control));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        headers.insert(header::ETAG, self.tag().clone());
        if gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }

    /// A weak tag: the compressed and the plain form have the same.
    fn tag(&self) -> &HeaderValue {
        self.tag.get_or_init(|| {
            let bytes: &[u8] = match &self.content {
                Content::Compressed { bytes, .. } => bytes,
                Content::Plain { bytes, .. } => bytes,
            };
            let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
            let hexadecimal: String =
                digest.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
            HeaderValue::try_from(format!("W/\"{hexadecimal}\""))
                .expect("hexadecimal digits are a header value")
        })
    }
}

fn deflate(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("writing into memory does not fail")
        .into()
}

fn inflate(gzip: &[u8]) -> Bytes {
    let mut plain = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut plain).expect("what was vendored is whole, as a test shows");
    plain.into()
}
