//! The one connection to a server, made outside of any request and made again when it is lost.
//!
//! A task of its own drives it. It notices that the connection ended, or is told by a command that was not answered in
//! time; then everything under way fails at once, and until there is a new one that answers, every command does.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use neuroglia::error::{Error, Result};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, cmd};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;

use super::location::Location;

/// How long a command may take, with its place in the queue. A cache that takes longer is no help.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_millis(250);

/// How long it may take to connect, with TLS and the credentials.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The pause before the server is tried again, and the longest one.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How many commands may wait to be written; whoever comes then waits as part of its time.
const QUEUE_MAX: usize = 256;

/// What a server says that will not be better on this connection: it is loading, it is no primary any more, the
/// credentials are not those of this connection any more.
const HOPELESS: [&str; 4] = ["LOADING", "MASTERDOWN", "NOAUTH", "READONLY"];

/// A way to the server, for as long as it is kept.
pub(super) struct Link {
    state: watch::Receiver<State>,
    location: Location,
    driving: AbortHandle,
}

#[derive(Clone)]
enum State {
    /// Why nobody answers.
    Away(Arc<str>),
    Here(Arc<Here>),
}

struct Here {
    connection: MultiplexedConnection,
    /// A command was not answered.
    is_broken: Notify,
}

impl Link {
    /// Begins to connect.
    pub(super) fn open(location: Location, tls: Option<Arc<ClientConfig>>) -> Self {
        let (told, state) = watch::channel(State::Away("it has not been reached yet".into()));
        let driver = Driver { location: location.clone(), tls: tls.map(TlsConnector::from), told };
        Self { state, location, driving: tokio::spawn(driver.run()).abort_handle() }
    }

    /// Waits until the server answers, but not longer than this.
    pub(super) async fn wait(&self, most: Duration) {
        let mut state = self.state.clone();
        // Whoever comes then finds out by asking.
        let _ = timeout(most, state.wait_for(|state| matches!(state, State::Here(_)))).await;
    }

    /// Asks the server something.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        let here = match &*self.state.borrow() {
            State::Here(here) => Arc::clone(here),
            State::Away(cause) => return Err(Error::unavailable(format!("redis is away: {cause}"))),
        };
        let mut connection = here.connection.clone();
        command.query_async(&mut connection).await.map_err(|error: RedisError| {
            if breaks(&error) {
                here.is_broken.notify_one();
            }
            Error::unavailable(error)
        })
    }
}

/// Whether it says something of the connection, and not of the command alone.
fn breaks(error: &RedisError) -> bool {
    error.is_io_error()
        || matches!(error.kind(), ErrorKind::Parse | ErrorKind::AuthenticationFailed)
        || is_hopeless(error)
}

fn is_hopeless(error: &RedisError) -> bool {
    error.code().is_some_and(|code| HOPELESS.contains(&code))
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_here = matches!(&*self.state.borrow(), State::Here(_));
        f.debug_struct("Link").field("to", &self.location).field("is_here", &is_here).finish()
    }
}

/// What keeps the link up.
struct Driver {
    location: Location,
    tls: Option<TlsConnector>,
    told: watch::Sender<State>,
}

impl Driver {
    async fn run(self) {
        let mut pause = PAUSE_MIN;
        let mut is_told_away = false;
        loop {
            let began = Instant::now();
            let cause = match self.hold(&mut is_told_away).await {
                Ok(()) => "the connection was lost".into(),
                Err(error) => error.to_string(),
            };
            self.told.send_replace(State::Away(cause.as_str().into()));
            if is_told_away {
                tracing::debug!(cause, "the cache is still away; it is tried again");
            } else {
                tracing::warn!(cause, cache.address = %self.location, "the cache is away; requests do without it");
                is_told_away = true;
            }
            // One that is lost as soon as it is made is not tried all the time.
            if began.elapsed() > PAUSE_MAX + CONNECT_TIMEOUT {
                pause = PAUSE_MIN;
            }
            sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Connects, and carries commands until the connection is lost.
    async fn hold(&self, is_told_away: &mut bool) -> RedisResult<()> {
        let connected = timeout(CONNECT_TIMEOUT, self.connect()).await;
        let (connection, driver) = connected.map_err(|_| late("it did not answer in time"))??;
        let mut driver = std::pin::pin!(driver);
        tokio::select! {
            () = &mut driver => return Ok(()),
            answer = greet(connection.clone()) => answer?,
        }
        let here = Arc::new(Here { connection, is_broken: Notify::new() });
        self.told.send_replace(State::Here(Arc::clone(&here)));
        if std::mem::take(is_told_away) {
            tracing::info!(cache.address = %self.location, "the cache answers again");
        }
        tokio::select! {
            () = driver => Ok(()),
            () = here.is_broken.notified() => Err(late("a command was not answered, or answered with a refusal")),
        }
    }

    async fn connect(
        &self,
    ) -> RedisResult<(MultiplexedConnection, std::pin::Pin<Box<dyn Future<Output = ()> + Send>>)> {
        let stream = TcpStream::connect((&*self.location.host, self.location.port)).await?;
        stream.set_nodelay(true)?;
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_pipeline_buffer_size(QUEUE_MAX);
        let user = self.location.user();
        match (&self.tls, &self.location.tls) {
            (Some(connector), Some(trust)) => {
                let stream = connector.connect(trust.server.clone(), stream).await?;
                let (connection, driver) =
                    MultiplexedConnection::new_with_config(&user, stream, config).await?;
                Ok((connection, Box::pin(driver)))
            }
            _ => {
                let (connection, driver) =
                    MultiplexedConnection::new_with_config(&user, stream, config).await?;
                Ok((connection, Box::pin(driver)))
            }
        }
    }
}

/// Asks a server whether it is there, and whether it is one that can be a cache.
async fn greet(mut connection: MultiplexedConnection) -> RedisResult<()> {
    cmd("PING").query_async::<()>(&mut connection).await?;
    for section in ["server", "replication"] {
        match cmd("INFO").arg(section).query_async::<String>(&mut connection).await {
            Ok(told) => match unfit(&told) {
                Some(why) => return Err(io::Error::other(why).into()),
                None => continue,
            },
            Err(error) if is_hopeless(&error) => return Err(error),
            // It does not say: the user may not ask, or nobody may. The first command that it refuses tells.
            Err(error) if matches!(error.kind(), ErrorKind::Server(_)) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Why a server that says this of itself is no cache.
fn unfit(told: &str) -> Option<&'static str> {
    let says =
        |name: &str| told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    match (says("redis_mode"), says("role")) {
        (Some("cluster"), _) => Some("it is a node of a cluster, which is not supported"),
        (Some("sentinel"), _) => Some("it is a sentinel, which is not asked for its primary"),
        (_, Some("slave")) => {
            Some("it is a replica, which keeps nothing; the address must lead to the primary")
        }
        _ => None,
    }
}

fn late(what: &'static str) -> RedisError {
    io::Error::new(io::ErrorKind::TimedOut, what).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_judged_by_what_it_says_of_itself() {
        let told =
            |mode: &str| format!("# Server\r\nredis_version:7.0.15\r\nredis_mode:{mode}\r\nos:Linux\r\n");
        assert_eq!(unfit(&told("standalone")), None);
        assert!(unfit(&told("cluster")).is_some_and(|why| why.contains("cluster")));
        assert!(unfit(&told("sentinel")).is_some_and(|why| why.contains("sentinel")));
        assert_eq!(unfit("# Replication\r\nrole:master\r\nconnected_slaves:1\r\n"), None);
        assert!(unfit("# Replication\r\nrole:slave\r\n").is_some_and(|why| why.contains("replica")));
        assert_eq!(unfit(""), None);
    }
}
