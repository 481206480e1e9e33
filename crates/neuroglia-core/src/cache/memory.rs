//! A cache in this process' memory, bounded by bytes and by entries.
//!
//! # Design notes
//! - **CLOCK** decides what goes when room is needed: a hand passes over the entries, spares once what was read since it
//!   last came by, and takes what was not. A read sets one flag; a list in the order of reads would cost a write to
//!   its neighbours.
//! - **The hash is the key of the table**, made once by a keyed hash, and finds the shard as well. The key itself is kept
//!   beside the value and compared, so that a collision is a miss and never another's value.
//! - **What is over goes when it is looked at**, or when the hand comes by; nothing runs on a timer.
//! - A value whose time began in the future is over too: a clock that was set back must not prolong anything.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::{Answer, CacheEngine};
use crate::clock::{Clock, Timestamp};
use crate::health::Details;

/// How many parts have a lock of their own; a power of two.
const SHARDS: usize = 16;

/// What an entry takes beside its key and value: its place, and its part of the table.
const ENTRY_OVERHEAD_BYTES: usize = 128;

/// How much a [`MemoryCache`] keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryCacheLimits {
    /// The most bytes, of keys, values and what surrounds them.
    pub bytes_max: usize,
    /// The most entries.
    pub entries_max: usize,
}

impl Default for MemoryCacheLimits {
    /// 32 MiB and 100,000 entries: a small part of a small machine.
    fn default() -> Self {
        Self { bytes_max: 32 * 1024 * 1024, entries_max: 100_000 }
    }
}

/// Keeps values in this process' memory.
///
/// Its parts are bounded each by itself, so that it may be full a little before its limits are reached.
pub struct MemoryCache {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    clock: Clock,
    limits_of_shard: MemoryCacheLimits,
}

#[derive(Default)]
struct Shard {
    /// The place of each entry, by the hash of its key.
    places: HashMap<u64, usize, BuildHasherDefault<AsItIs>>,
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
    hand: usize,
    bytes: usize,
}

struct Entry {
    hash: u64,
    key: Box<str>,
    value: Bytes,
    since: Timestamp,
    until: Timestamp,
    is_used: bool,
}

impl MemoryCache {
    /// An empty one with these limits, whose time is the clock's.
    pub fn new(limits: MemoryCacheLimits, clock: Clock) -> Self {
        let limits_of_shard = MemoryCacheLimits {
            bytes_max: limits.bytes_max / SHARDS,
            entries_max: (limits.entries_max / SHARDS).max(1),
        };
        Self { shards: Default::default(), hasher: RandomState::new(), clock, limits_of_shard }
    }

    /// How many entries there are, with those whose time is over and that nobody has looked at since.
    pub fn entries(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().places.len()).sum()
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().bytes).sum()
    }

    /// The hash of a key, and the shard that it belongs to.
    fn locate(&self, key: &str) -> (u64, &Mutex<Shard>) {
        let hash = self.hasher.hash_one(key);
        // The table takes its own place from the lower bits.
        (hash, &self.shards[(hash >> 60) as usize % SHARDS])
    }

    fn read(&self, key: &str, keep: Option<Duration>) -> Option<Bytes> {
        let (hash, shard) = self.locate(key);
        let now = self.clock.now();
        let mut shard = shard.lock();
        let entry = shard.living(hash, key, now)?;
        entry.is_used = true;
        if let Some(ttl) = keep {
            entry.live(now, ttl);
        }
        Some(entry.value.clone())
    }

    fn write(&self, key: &str, value: Bytes, ttl: Duration, only_new: bool) -> bool {
        let (hash, shard) = self.locate(key);
        let now = self.clock.now();
        let mut shard = shard.lock();
        if only_new && shard.living(hash, key, now).is_some() {
            return false;
        }
        shard.remove(hash);
        let mut entry = Entry { hash, key: key.into(), value, since: now, until: now, is_used: false };
        entry.live(now, ttl);
        if entry.bytes() <= self.limits_of_shard.bytes_max {
            shard.make_room(entry.bytes(), self.limits_of_shard, now);
            shard.put(entry);
        }
        true
    }
}

impl CacheEngine for MemoryCache {
    fn engine(&self) -> &'static str {
        "memory"
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Bytes>> {
        Answer::ready(Ok(self.read(key, None)))
    }

    fn get_and_keep<'a>(&'a self, key: &'a str, ttl: Duration) -> Answer<'a, Option<Bytes>> {
        Answer::ready(Ok(self.read(key, Some(ttl))))
    }

    fn set<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration) -> Answer<'a, ()> {
        self.write(key, value, ttl, false);
        Answer::ready(Ok(()))
    }

    fn insert<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration) -> Answer<'a, bool> {
        Answer::ready(Ok(self.write(key, value, ttl, true)))
    }

    fn keep<'a>(&'a self, key: &'a str, ttl: Duration) -> Answer<'a, bool> {
        Answer::ready(Ok(self.read(key, Some(ttl)).is_some()))
    }

    fn remove<'a>(&'a self, key: &'a str) -> Answer<'a, ()> {
        let (hash, shard) = self.locate(key);
        let mut shard = shard.lock();
        if shard.find(hash, key).is_some() {
            shard.remove(hash);
        }
        Answer::ready(Ok(()))
    }

    fn check(&self) -> Answer<'_, Details> {
        Answer::ready(Ok(Details::new().with("entries", self.entries()).with("bytes", self.bytes())))
    }
}

impl Shard {
    fn find(&mut self, hash: u64, key: &str) -> Option<&mut Entry> {
        let place = *self.places.get(&hash)?;
        self.entries[place].as_mut().filter(|entry| *entry.key == *key)
    }

    /// The entry of a key, unless its time is over.
    fn living(&mut self, hash: u64, key: &str, now: Timestamp) -> Option<&mut Entry> {
        if !self.find(hash, key)?.lives(now) {
            self.remove(hash);
            return None;
        }
        self.find(hash, key)
    }

    fn put(&mut self, entry: Entry) {
        self.bytes += entry.bytes();
        let place = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() - 1
        });
        self.places.insert(entry.hash, place);
        self.entries[place] = Some(entry);
    }

    fn remove(&mut self, hash: u64) {
        let Some(place) = self.places.remove(&hash) else { return };
        if let Some(entry) = self.entries[place].take() {
            self.bytes -= entry.bytes();
            self.free.push(place);
        }
    }

    /// Lets the hand go round until one more of this size fits.
    fn make_room(&mut self, bytes: usize, limits: MemoryCacheLimits, now: Timestamp) {
        while !self.places.is_empty()
            && (self.bytes + bytes > limits.bytes_max || self.places.len() >= limits.entries_max)
        {
            let place = self.hand;
            self.hand = (place + 1) % self.entries.len();
            match &mut self.entries[place] {
                Some(entry) if entry.is_used && entry.lives(now) => entry.is_used = false,
                Some(entry) => {
                    let hash = entry.hash;
                    self.remove(hash);
                }
                None => {}
            }
        }
    }
}

impl Entry {
    fn live(&mut self, now: Timestamp, ttl: Duration) {
        self.since = now;
        self.until = now + ttl.max(Duration::from_millis(1));
    }

    fn lives(&self, now: Timestamp) -> bool {
        self.since <= now && now < self.until
    }

    fn bytes(&self) -> usize {
        self.key.len() + self.value.len() + ENTRY_OVERHEAD_BYTES
    }
}

/// What is hashed already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl fmt::Debug for MemoryCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCache").field("entries", &self.entries()).field("bytes", &self.bytes()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(bytes_max: usize, entries_max: usize) -> (MemoryCache, Clock) {
        let clock = Clock::manual(Timestamp::from_unix_micros(1_000_000_000));
        (MemoryCache::new(MemoryCacheLimits { bytes_max, entries_max }, clock.clone()), clock)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn neither_entries_nor_bytes_exceed_their_limit() {
        let (cache, _) = cache(64 * 1024, 256);
        for number in 0..10_000 {
            cache.write(&number.to_string(), Bytes::from(vec![0; number % 300]), LONG, false);
            assert!(cache.entries() <= 256 && cache.bytes() <= 64 * 1024, "{cache:?}");
        }
        assert!(cache.entries() > 100, "{cache:?}");
        cache.write("huge", Bytes::from(vec![0; 64 * 1024]), LONG, false);
        assert_eq!(cache.read("huge", None), None);
    }

    #[test]
    fn what_is_read_outlives_what_is_not() {
        let (cache, _) = cache(1024 * 1024, 256);
        cache.write("often", Bytes::from_static(b"1"), LONG, false);
        for number in 0..10_000 {
            cache.write(&number.to_string(), Bytes::from_static(b"0"), LONG, false);
            assert!(cache.read("often", None).is_some(), "gone after {number} others");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_prolongs_nothing() {
        let (cache, clock) = cache(1024 * 1024, 16);
        cache.write("menu", Bytes::from_static(b"1"), LONG, false);
        assert!(cache.read("menu", None).is_some());
        let (hash, shard) = cache.locate("menu");
        let ahead = clock.now() + Duration::from_secs(3600);
        shard.lock().find(hash, "menu").expect("it is there").live(ahead, LONG);
        assert_eq!(cache.read("menu", None), None);
    }

    #[test]
    fn a_collision_is_a_miss() {
        let mut shard = Shard::default();
        let now = Timestamp::UNIX_EPOCH;
        let mut entry =
            Entry { hash: 7, key: "one".into(), value: Bytes::new(), since: now, until: now, is_used: false };
        entry.live(now, LONG);
        shard.put(entry);
        assert!(shard.living(7, "one", now).is_some());
        assert!(shard.living(7, "other", now).is_none());
        assert!(shard.living(7, "one", now).is_some(), "and nobody's loss");
    }
}
