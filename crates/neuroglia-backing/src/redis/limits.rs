//! Quotas on the server, whose clock all processes share.

use std::time::Duration;

use async_trait::async_trait;
use neuroglia::cache::{SharedLimits, Taken};
use neuroglia::error::Result;
use redis::cmd;

use super::RedisCache;

/// [`Taken::of`] where the moment is kept, in microseconds; a key is there until its quota is whole again. It goes with
/// each call: what the server has compiled it finds by the text, and nothing has to be loaded after a restart.
const TAKE: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local period, share = tonumber(ARGV[1]), tonumber(ARGV[2])
local due = math.min(math.max(tonumber(redis.call('GET', KEYS[1]) or now), now), now + period)
local next = due + share
if next > now + period then return {due - now, next - now - period} end
redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000))
return {next - now, 0}";

#[async_trait]
impl SharedLimits for RedisCache {
    fn is_quick(&self) -> bool {
        true
    }

    async fn take(&self, key: &str, period: Duration, share: Duration) -> Result<Taken> {
        let mut command = cmd("EVAL");
        command.arg(TAKE).arg(1).arg(key).arg(micros(period)).arg(micros(share).max(1));
        let (used, wait): (u64, u64) = self.ask(&command).await?;
        Ok(Taken { used: Duration::from_micros(used), wait: Duration::from_micros(wait) })
    }
}

/// As a number that the script can calculate with: a double is exact up to 2^53.
fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX).min(1 << 52)
}
