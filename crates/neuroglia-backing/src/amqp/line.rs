//! A connection that is made when it is needed, and made again when it was lost; and what is declared through it.

use std::io;
use std::net;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::options::{ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::runtime::default_runtime;
use lapin::tcp::RustlsConnector;
use lapin::types::{AMQPValue, FieldTable};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{AsyncTcpStream, Channel, Connection, ConnectionProperties, ExchangeKind};
use neuroglia::error::{Error, Result};
use rustls::ClientConfig;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::Url;

use super::Topology;

/// How long a connection may take to be made, unless the URL says so.
const CONNECT_TIMEOUT_MS: u64 = 3_000;

/// How often, in seconds, both sides show that they live; twice as long without a sign, and the connection is given up.
const HEARTBEAT_S: u16 = 5;

/// Whether there can be a bus at such a URL.
///
/// # Errors
/// What is wrong with it, as a fragment for the report of settings.
pub fn check_url(url: &Url) -> Result<(), String> {
    address(url).map(drop)
}

fn address(url: &Url) -> Result<AMQPUri, String> {
    const KNOWN: [&str; 5] = ["cacertfile", "channel_max", "connection_timeout", "frame_max", "heartbeat"];
    if !url.has_host() {
        return Err("it names no host: amqp://user:password@host:5672/vhost".to_owned());
    }
    if url.scheme() != "amqps" && url.query_pairs().any(|(name, _)| name == "cacertfile") {
        return Err(
            "cacertfile says whose certificate a broker has: use amqps://, which asks for one".to_owned()
        );
    }
    if let Some((name, _)) = url.query_pairs().find(|(name, _)| !KNOWN.contains(&&**name)) {
        return Err(format!("there is no parameter {name}: use {}", KNOWN.join(", ")));
    }
    let mut address: AMQPUri = url
        .as_str()
        .parse()
        .map_err(|_| "it is no address of a broker: amqp://user:password@host:5672/vhost".to_owned())?;
    if let Some(host) = url.host_str() {
        host.trim_matches(['[', ']']).clone_into(&mut address.authority.host);
    }
    // `amqp://host/` names the virtual host without a name, which nobody has.
    if address.vhost.is_empty() {
        "/".clone_into(&mut address.vhost);
    }
    address.query.heartbeat.get_or_insert(HEARTBEAT_S);
    address.query.connection_timeout.get_or_insert(CONNECT_TIMEOUT_MS);
    Ok(address)
}

/// The way to the broker.
pub(super) struct Line {
    address: AMQPUri,
    /// How a connection is made that is encrypted.
    tls: Option<Arc<ClientConfig>>,
    /// How long a connection may take to be made.
    limit: Duration,
    name: String,
    current: Mutex<Option<Arc<Connection>>>,
    /// Whoever makes a connection has it: one is enough for all who ask.
    making: tokio::sync::Mutex<()>,
}

impl Line {
    pub(super) fn new(url: &Url, name: String) -> Result<Self> {
        let address = address(url).map_err(|fault| Error::invalid("bus.url", fault))?;
        let authority = url.query_pairs().find(|(name, _)| name == "cacertfile");
        let authority = authority.map(|(_, path)| PathBuf::from(path.into_owned()));
        let tls = match address.scheme {
            AMQPScheme::AMQPS => Some(Arc::new(crate::tls::client_config(authority.as_deref())?)),
            AMQPScheme::AMQP => None,
        };
        let limit = Duration::from_millis(address.query.connection_timeout.unwrap_or(CONNECT_TIMEOUT_MS));
        let (current, making) = (Mutex::default(), tokio::sync::Mutex::default());
        Ok(Self { address, tls, limit, name, current, making })
    }

    /// The connection that there is, or a new one.
    pub(super) async fn connection(&self) -> Result<Arc<Connection>> {
        if let Some(current) = self.current() {
            return Ok(current);
        }
        let making = async {
            let _making = self.making.lock().await;
            if let Some(current) = self.current() {
                return Ok(current);
            }
            let connection = Arc::new(self.connect().await?);
            *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&connection));
            Ok(connection)
        };
        timeout(self.limit, making).await.map_err(|_| Error::unavailable("the broker does not answer"))?
    }

    /// The connection that there is.
    pub(super) fn current(&self) -> Option<Arc<Connection>> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        current.filter(|current| current.status().connected())
    }

    /// Does not use the connection that there is any more.
    pub(super) fn forget(&self) {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Does not use this connection any more; one that was made meanwhile stays.
    pub(super) fn leave(&self, left: &Arc<Connection>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.take_if(|current| Arc::ptr_eq(current, left));
    }

    /// Makes a connection; whoever gives it up before it is made leaves nothing behind.
    async fn connect(&self) -> Result<Connection> {
        let attempt = Attempt::default();
        let (progress, tls, limit) = (Arc::clone(&attempt.0), self.tls.clone(), self.limit);
        let properties = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let runtime = default_runtime().map_err(Error::unavailable)?;
        let connecting = Connection::connector(
            self.address.clone(),
            runtime,
            async move |address: AMQPUri, runtime| {
                let reaching = async {
                    let host = (address.authority.host.as_str(), address.authority.port);
                    let hosts: Vec<_> = lookup_host(host).await?.collect();
                    let stream = AsyncTcpStream::connect(&runtime, hosts).await?;
                    if let AsyncTcpStream::Plain(plain) = &stream {
                        progress.reached(plain.get_ref())?;
                    }
                    match &tls {
                        None => Ok(stream),
                        Some(tls) => {
                            let connector = RustlsConnector::from(Arc::clone(tls));
                            stream.into_rustls(&connector, &address.authority.host).await
                        }
                    }
                };
                // On a thread of the driver, which waits for nothing else.
                let reached = timeout(limit, reaching).await;
                Ok(reached.unwrap_or_else(|late| Err(late.into()))?)
            },
            properties,
        );
        let connection = connecting.await.map_err(Error::unavailable)?;
        attempt.succeeded();
        Ok(connection)
    }
}

/// A connection that is being made. The driver makes it in a thread of its own, which waits for the broker's words without
/// an end; dropped before it succeeded, the attempt closes the socket, and so the thread ends.
#[derive(Default)]
struct Attempt(Arc<Progress>);

#[derive(Default)]
struct Progress(Mutex<Stage>);

#[derive(Default)]
enum Stage {
    #[default]
    Begun,
    /// By this socket.
    Reached(net::TcpStream),
    Over,
}

impl Attempt {
    fn succeeded(self) {
        *self.0.stage() = Stage::Over;
    }
}

impl Progress {
    /// Notes the socket, unless the attempt was given up meanwhile.
    fn reached(&self, stream: &TcpStream) -> io::Result<()> {
        let mut stage = self.stage();
        if matches!(*stage, Stage::Over) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the attempt was given up"));
        }
        *stage = Stage::Reached(duplicate(stream)?);
        Ok(())
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Stage::Reached(socket) = std::mem::replace(&mut *self.0.stage(), Stage::Over) {
            // The broker may have closed it.
            let _ = socket.shutdown(net::Shutdown::Both);
        }
    }
}

/// The same socket once more.
fn duplicate(stream: &TcpStream) -> io::Result<net::TcpStream> {
    #[cfg(unix)]
    let socket = std::os::fd::AsFd::as_fd(stream).try_clone_to_owned()?;
    #[cfg(windows)]
    let socket = std::os::windows::io::AsSocket::as_socket(stream).try_clone_to_owned()?;
    Ok(socket.into())
}

/// A channel on which the broker confirms what is published, to an exchange that is there.
pub(super) async fn confirming(connection: &Connection, topology: &Topology) -> Result<Channel> {
    let channel = at_exchange(connection, topology).await.map_err(Error::unavailable)?;
    channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(Error::unavailable)?;
    Ok(channel)
}

/// Declares a consumer's queue, its dead letters, and what is bound to it: in three round trips, however much is bound.
pub(super) async fn declare_queue(
    connection: &Connection,
    topology: &Topology,
    consumer: &str,
) -> Result<()> {
    declare(connection, topology, consumer).await.map_err(Error::unavailable)
}

async fn declare(connection: &Connection, topology: &Topology, consumer: &str) -> lapin::Result<()> {
    let (queue, dead_letters) = (topology.queue(consumer), topology.dead_letters(consumer));
    let text = |text: &str| AMQPValue::LongString(text.into());
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text(topology.queue_type()));
    let plain = arguments.clone();
    arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    // Also for what a broker by itself takes for poison, because it came back too often.
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    arguments.insert("x-dead-letter-routing-key".into(), text(&dead_letters));
    let (channel, aside, own) = tokio::join!(
        at_exchange(connection, topology),
        ensure_queue(connection, &dead_letters, plain),
        ensure_queue(connection, &queue, arguments),
    );
    for refusal in [&aside, &own].into_iter().filter_map(|declared| declared.as_ref().err()) {
        topology.heed(refusal);
    }
    aside.and(own)?;
    let channel = channel?;
    let mut keys = topology.bindings(consumer).peekable();
    while let Some(key) = keys.next() {
        // Whatever is refused closes the channel, so that it is enough to hear of the last one.
        let options = QueueBindOptions { nowait: keys.peek().is_some() };
        let (queue, exchange) = (queue.as_str().into(), topology.exchange().into());
        channel.queue_bind(queue, exchange, key.into(), options, FieldTable::default()).await?;
    }
    Ok(())
}

/// A channel on which the exchange was declared.
async fn at_exchange(connection: &Connection, topology: &Topology) -> lapin::Result<Channel> {
    let channel = connection.create_channel().await?;
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let declared = channel.exchange_declare(
        topology.exchange().into(),
        ExchangeKind::Topic,
        options,
        FieldTable::default(),
    );
    declared.await?;
    Ok(channel)
}

/// Declares a queue, unless it is there; whoever made it otherwise knew why.
async fn ensure_queue(connection: &Connection, name: &str, arguments: FieldTable) -> lapin::Result<()> {
    let channel = connection.create_channel().await?;
    let declared = channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments).await;
    let Err(refusal) = declared else { return Ok(()) };
    if !refusal.is_amqp_soft_error() {
        return Err(refusal);
    }
    // It is there and otherwise, or only an operator may make it; the refusal has closed the channel.
    let channel = connection.create_channel().await?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    let asked = channel.queue_declare(name.into(), passive, FieldTable::default()).await;
    asked.map(drop).map_err(|_| refusal)
}
