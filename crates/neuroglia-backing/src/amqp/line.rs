//! A connection that is made when it is needed, and made again when it was lost; and what is declared through it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::options::{ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::tcp::OwnedTLSConfig;
use lapin::types::{AMQPValue, FieldTable};
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, DefaultConnectionBuilder, ExchangeKind};
use neuroglia::error::{Error, Result};
use tokio::time::timeout;
use url::Url;

use super::Topology;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(CONNECT_TIMEOUT_MS);
/// The same for the driver.
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
    authority: Option<String>,
    name: String,
    current: Mutex<Option<Arc<Connection>>>,
}

impl Line {
    pub(super) fn new(url: &Url, name: String) -> Result<Self> {
        let address = address(url).map_err(|fault| Error::invalid("bus.url", fault))?;
        let authority =
            url.query_pairs().find(|(name, _)| name == "cacertfile").map(|(_, path)| path.into_owned());
        Ok(Self { address, authority, name, current: Mutex::default() })
    }

    /// The connection that there is, or a new one.
    pub(super) async fn connection(&self) -> Result<Arc<Connection>> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(current) = current.filter(|current| current.status().connected()) {
            return Ok(current);
        }
        let connecting = timeout(CONNECT_TIMEOUT, self.connect()).await;
        let connection = Arc::new(connecting.map_err(|_| Error::unavailable("the broker does not answer"))??);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// Does not use the connection that there is any more.
    pub(super) fn forget(&self) {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    async fn connect(&self) -> Result<Connection> {
        let cert_chain = match &self.authority {
            None => None,
            Some(path) => Some(tokio::fs::read_to_string(Path::new(path)).await.map_err(|cause| {
                Error::unavailable(format!("the file of cacertfile, {path}, cannot be read: {cause}"))
            })?),
        };
        let tls = OwnedTLSConfig { identity: None, cert_chain };
        let properties = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let building = DefaultConnectionBuilder::new().map_err(Error::unavailable)?;
        let building =
            building.with_uri(self.address.clone()).with_properties(properties).with_tls_config(tls);
        building.connect().await.map_err(Error::unavailable)
    }
}

/// A channel on which the broker confirms what is published.
pub(super) async fn confirming(connection: &Connection) -> Result<Channel> {
    let channel = connection.create_channel().await.map_err(Error::unavailable)?;
    channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(Error::unavailable)?;
    Ok(channel)
}

pub(super) async fn declare_exchange(channel: &Channel, topology: &Topology) -> Result<()> {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let declared = channel.exchange_declare(
        topology.exchange().into(),
        ExchangeKind::Topic,
        options,
        FieldTable::default(),
    );
    declared.await.map_err(Error::unavailable)
}

/// Declares a consumer's queue, its dead letters, and what is bound to it.
pub(super) async fn declare_queue(
    connection: &Connection,
    topology: &Topology,
    consumer: &str,
) -> Result<()> {
    let (queue, dead_letters) = (topology.queue(consumer), topology.dead_letters(consumer));
    let text = |text: &str| AMQPValue::LongString(text.into());
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    ensure_queue(connection, &dead_letters, arguments.clone()).await?;
    arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    // Also for what a broker by itself takes for poison, because it came back too often.
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    arguments.insert("x-dead-letter-routing-key".into(), text(&dead_letters));
    ensure_queue(connection, &queue, arguments).await?;
    let channel = connection.create_channel().await.map_err(Error::unavailable)?;
    declare_exchange(&channel, topology).await?;
    for key in topology.bindings(consumer) {
        let (queue, exchange) = (queue.as_str().into(), topology.exchange().into());
        let bound = channel.queue_bind(
            queue,
            exchange,
            key.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        bound.await.map_err(Error::unavailable)?;
    }
    Ok(())
}

/// Declares a queue, unless it is there; whoever made it otherwise knew why.
async fn ensure_queue(connection: &Connection, name: &str, arguments: FieldTable) -> Result<()> {
    // A question about a queue that is not there closes its channel.
    let asked = connection.create_channel().await.map_err(Error::unavailable)?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    if asked.queue_declare(name.into(), passive, FieldTable::default()).await.is_ok() {
        return Ok(());
    }
    let channel = connection.create_channel().await.map_err(Error::unavailable)?;
    let declared = channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments);
    declared.await.map(drop).map_err(Error::unavailable)
}
