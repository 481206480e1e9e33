//! Live events of orders, as server-sent events.
//!
//! A stream asks the store for what is new, a part at a time and only when the client has taken the part before; so
//! a slow client costs no memory. It keeps nothing else: `Last-Event-ID` goes on at any process, at any time.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt};
use neuroglia::di::{Inject, ScopeFactory};
use neuroglia::error::{Error, ErrorKind, Result};
use neuroglia::identity::Identity;
use neuroglia::mediation::Mediator;
use neuroglia::web::axum::extract::FromRequestParts;
use neuroglia::web::axum::response::sse::{Event, KeepAlive, KeepAliveStream, Sse};
use neuroglia::web::controller;
use neuroglia::web::http::request::Parts;
use neuroglia::web::openapi::{Describe, Operation};
use pizzeria_application::feed::{FeedEventDto, Following, NumberEvents, ReadFeed};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// How often a stream asks for what is new.
const POLL: Duration = Duration::from_millis(500);

/// What is true of every stream of this process.
#[derive(Debug, Clone, Copy)]
pub struct StreamLimits {
    /// How many each account may have open.
    pub most: NonZeroUsize,
    /// How often one with nothing to say says so, lest somebody on the way takes it for dead; no more often than it
    /// looks for something to say.
    pub heartbeat: Duration,
    /// How long one lives: a client that connects again shows who it is, which may have changed.
    pub lifetime: Duration,
}

/// The streams that are open at this process; a service of the application.
#[derive(Debug)]
pub struct Streams {
    limits: StreamLimits,
    open: Mutex<HashMap<String, usize>>,
}

impl Streams {
    /// None yet.
    pub fn new(limits: StreamLimits) -> Self {
        Self { limits, open: Mutex::default() }
    }

    fn admit(self: &Arc<Self>, account: &str) -> Result<Admission> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(account.to_owned()).or_default();
        if *count >= self.limits.most.get() {
            let detail = format!("{} streams are open, which is the most; close one", self.limits.most);
            return Err(Error::new(ErrorKind::RateLimited, "events.too_many", detail).with_retry_after(1));
        }
        *count += 1;
        Ok(Admission { streams: Arc::clone(self), account: account.to_owned() })
    }
}

/// Counts a stream as open for as long as it lives.
struct Admission {
    streams: Arc<Streams>,
    account: String,
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut open = self.streams.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.account);
            }
        }
    }
}

/// The number in `Last-Event-ID`, if there is one.
struct LastEventId(Option<i64>);

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let id = parts.headers.get("last-event-id").and_then(|value| value.to_str().ok());
        // A client cannot help it when it has kept an id that is none of ours: it goes on from now.
        Ok(Self(id.and_then(|id| id.parse().ok())))
    }
}

impl Describe for LastEventId {
    fn describe_parameter(operation: &mut Operation<'_>) {
        operation.header_parameter::<String>(
            "Last-Event-ID",
            false,
            "the id of the last event that was read",
        );
    }
}

#[derive(Inject)]
pub(crate) struct EventsController {
    caller: Identity,
    scopes: ScopeFactory,
    streams: Arc<Streams>,
}

#[controller("/api/v1/events")]
impl EventsController {
    /// Follow what happens to orders: one's own, or all for staff.
    ///
    /// Each event has a number as its id. A client that was away goes on after the one in `Last-Event-ID`, for as long
    /// as a week; without it, only what happens from now on is told. A stream ends after a while, usually a quarter of an hour.
    #[get("/", authenticated)]
    async fn follow(
        &self,
        last: LastEventId,
    ) -> Result<Sse<KeepAliveStream<BoxStream<'static, Result<Event>>>>> {
        let following = Following::of(&self.caller)?;
        let admission = self.streams.admit(self.caller.subject().unwrap_or_default())?;
        let feed = Feed { scopes: self.scopes.clone(), following };
        let after = match last {
            LastEventId(Some(number)) => number,
            LastEventId(None) => feed.newest().await?,
        };
        let StreamLimits { heartbeat, lifetime, .. } = self.streams.limits;
        let mut pulse = interval(POLL);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let reader = Reader {
            feed,
            after,
            taken: VecDeque::new(),
            is_behind: false,
            pulse,
            ends_at: Instant::now() + lifetime,
            _admission: admission,
        };
        let events = stream::try_unfold(reader, Reader::next).boxed();
        Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(heartbeat.max(POLL))))
    }
}

/// The feed as one client may see it.
struct Feed {
    scopes: ScopeFactory,
    following: Following,
}

impl Feed {
    /// Numbers what is new, and gives the last number.
    async fn newest(&self) -> Result<i64> {
        let scope = self.scopes.scope()?;
        let newest = scope.inject::<Mediator>()?.send(NumberEvents {}).await;
        scope.close().await;
        newest
    }

    async fn after(&self, after: i64) -> Result<Vec<FeedEventDto>> {
        let scope = self.scopes.scope()?;
        let events =
            scope.inject::<Mediator>()?.send(ReadFeed { after, following: self.following.clone() }).await;
        scope.close().await;
        events
    }
}

/// Where a client is in the feed.
struct Reader {
    feed: Feed,
    after: i64,
    /// What was read and not yet sent.
    taken: VecDeque<FeedEventDto>,
    /// Whether there may be more of what is old.
    is_behind: bool,
    pulse: Interval,
    ends_at: Instant,
    _admission: Admission,
}

impl Reader {
    /// The next event, when there is one; none when the stream has lived long enough.
    async fn next(mut self) -> Result<Option<(Event, Self)>> {
        loop {
            if let Some(event) = self.taken.pop_front() {
                self.after = event.number;
                let message = Event::default().id(event.number.to_string()).event(event.event.clone());
                return Ok(Some((message.json_data(&event).map_err(Error::internal)?, self)));
            }
            if Instant::now() >= self.ends_at {
                return Ok(None);
            }
            if !self.is_behind {
                self.pulse.tick().await;
                self.feed.newest().await?;
            }
            self.taken = self.feed.after(self.after).await?.into();
            self.is_behind = !self.taken.is_empty();
        }
    }
}
