//! W3C Trace Context: `traceparent` in and out, and the ids that it is made of.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::HeaderValue;
use neuroglia_core::id::Ids;

/// `00-` trace id `-` span id `-` flags.
const TRACEPARENT_BYTES: usize = 55;
const TRACE_ID: std::ops::Range<usize> = 3..35;
const SPAN_ID: std::ops::Range<usize> = 36..52;

/// Makes ids of traces and spans.
///
/// They must not repeat, and need not be secret: a counter is scattered over all values by the finaliser of
/// SplitMix64, which is one to one, from a random start. That costs a few nanoseconds and no system call.
#[derive(Debug)]
pub(super) struct TraceIds {
    seeds: [u64; 3],
    count: AtomicU64,
}

impl TraceIds {
    pub(super) fn new(ids: &Ids) -> Self {
        let mut seeds = [0; 3];
        for seed in &mut seeds {
            let (high, low) = ids.next_uuid().as_u64_pair();
            *seed = scatter(high) ^ low;
        }
        Self { seeds, count: AtomicU64::new(0) }
    }

    /// The context of a request that came without one.
    pub(super) fn begin(&self) -> TraceContext {
        let count = self.next();
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-01";
        push_hex(&mut text[3..19], self.id(0, count));
        push_hex(&mut text[19..35], self.id(1, count));
        push_hex(&mut text[SPAN_ID], self.id(2, count));
        TraceContext::new(text)
    }

    /// The context of a request within the trace of `parent`, if that is well-formed.
    pub(super) fn follow(&self, parent: &[u8]) -> Option<TraceContext> {
        if !is_traceparent(parent) {
            return None;
        }
        let mut text = [0; TRACEPARENT_BYTES];
        text.copy_from_slice(&parent[..TRACEPARENT_BYTES]);
        text[..2].copy_from_slice(b"00");
        // Of the flags we know one: whether the trace is recorded.
        let sampled = matches!(parent[54], b'1' | b'3' | b'5' | b'7' | b'9' | b'b' | b'd' | b'f');
        text[53..].copy_from_slice(if sampled { b"01" } else { b"00" });
        push_hex(&mut text[SPAN_ID], self.id(2, self.next()));
        Some(TraceContext::new(text))
    }

    fn next(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    fn id(&self, which: usize, count: u64) -> u64 {
        // All zero is the one value that an id must not have.
        scatter(self.seeds[which].wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15))).max(1)
    }
}

/// The finaliser of SplitMix64.
fn scatter(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn push_hex(text: &mut [u8], value: u64) {
    for (pair, byte) in text.chunks_exact_mut(2).zip(value.to_be_bytes()) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Where a request stands in its trace: the value of `traceparent`.
///
/// Header values share its bytes.
#[derive(Debug, Clone)]
pub(super) struct TraceContext(Bytes);

impl TraceContext {
    fn new(text: [u8; TRACEPARENT_BYTES]) -> Self {
        Self(Bytes::from_owner(text))
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a traceparent is ASCII")
    }

    pub(super) fn trace_id(&self) -> &str {
        &self.as_str()[TRACE_ID]
    }

    pub(super) fn span_id(&self) -> &str {
        &self.as_str()[SPAN_ID]
    }

    pub(super) fn to_header(&self) -> HeaderValue {
        HeaderValue::from_maybe_shared(self.0.clone()).expect("a traceparent is ASCII")
    }

    /// The trace id alone.
    pub(super) fn trace_id_header(&self) -> HeaderValue {
        HeaderValue::from_maybe_shared(self.0.slice(TRACE_ID)).expect("a trace id is ASCII")
    }
}

/// Whether this is a `traceparent` that we can follow: of version 00, or of a later one that begins alike.
fn is_traceparent(text: &[u8]) -> bool {
    let is_hex = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_id = |part: &[u8]| is_hex(part) && part.iter().any(|&byte| byte != b'0');
    text.len() >= TRACEPARENT_BYTES
        && (text[2], text[35], text[52]) == (b'-', b'-', b'-')
        && is_hex(&text[..2])
        && &text[..2] != b"ff"
        && is_id(&text[TRACE_ID])
        && is_id(&text[SPAN_ID])
        && is_hex(&text[53..TRACEPARENT_BYTES])
        && match text.get(TRACEPARENT_BYTES) {
            None => true,
            Some(&next) => &text[..2] != b"00" && next == b'-',
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_well_formed_and_do_not_repeat() {
        let ids = TraceIds::new(&Ids::random());
        let mut seen = HashSet::new();
        for _ in 0..10_000 {
            let context = ids.begin();
            assert!(is_traceparent(context.as_str().as_bytes()), "{context:?}");
            assert!(seen.insert(context.trace_id().to_owned()) && seen.insert(context.span_id().to_owned()));
        }
    }

    #[test]
    fn what_is_followed() {
        let ids = TraceIds::new(&Ids::sequence());
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let span = "b7ad6b7169203331";
        let good = [
            (format!("00-{trace}-{span}-01"), "01"),
            (format!("00-{trace}-{span}-00"), "00"),
            (format!("00-{trace}-{span}-03"), "01"),
            (format!("cc-{trace}-{span}-01"), "01"),
            (format!("cc-{trace}-{span}-01-what-comes-later"), "01"),
        ];
        for (parent, flags) in good {
            let context = ids.follow(parent.as_bytes()).expect(&parent);
            assert_eq!(context.trace_id(), trace);
            assert_ne!(context.span_id(), span);
            assert!(context.as_str().starts_with("00-") && context.as_str().ends_with(flags), "{context:?}");
        }
        let bad = [
            String::new(),
            format!("00-{trace}-{span}"),
            format!("00-{trace}-{span}-1"),
            format!("00-{trace}-{span}-01-more"),
            format!("00-{trace}-{span}-01 "),
            format!("ff-{trace}-{span}-01"),
            format!("cc-{trace}-{span}-01x"),
            format!("0x-{trace}-{span}-01"),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00_{trace}-{span}-01"),
            format!("00-{trace}-{span}-0g"),
            "é".repeat(28),
        ];
        for parent in bad {
            assert!(ids.follow(parent.as_bytes()).is_none(), "{parent}");
        }
    }
}
