//! One consumer's queue: taken from by hand, acknowledged by hand.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, Consumer, ErrorKind};
use neuroglia::error::{Error, Result};
use neuroglia::messaging::{Arrival, EventQueue, Outcome};

use super::{Topology, line};

/// How many messages the broker gives before the first of them is acknowledged: two batches, so that one is on its way
/// while another is stored.
const PREFETCH: u16 = 200;

/// How many characters of a reason go with a dead letter.
const REASON_CHARS_MAX: usize = 500;

/// How large a stranger's headers may be, as text, to go with a dead letter: with all else they fit into the smallest
/// frame that there is.
const HEADERS_CHARS_MAX: usize = 1_000;

pub(super) struct Queue {
    channel: Channel,
    messages: Consumer,
    dead_letters: String,
    taken: Vec<Delivery>,
    is_finishing: bool,
    /// Where dead letters are published, once there is one. The broker closes a channel when it refuses something on it,
    /// and the consumer's must stay.
    graves: Option<Channel>,
    connection: Arc<Connection>,
}

impl Queue {
    pub(super) async fn open(
        connection: Arc<Connection>,
        topology: &Topology,
        consumer: &str,
    ) -> Result<Self> {
        line::declare_queue(&connection, topology, consumer).await?;
        let channel = connection.create_channel().await.map_err(Error::unavailable)?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.map_err(Error::unavailable)?;
        let (queue, tag) = (topology.queue(consumer), consumer.into());
        let consuming =
            channel.basic_consume(queue.into(), tag, BasicConsumeOptions::default(), FieldTable::default());
        let messages = consuming.await.map_err(Error::unavailable)?;
        Ok(Self {
            channel,
            messages,
            dead_letters: topology.dead_letters(consumer),
            taken: Vec::new(),
            is_finishing: false,
            graves: None,
            connection,
        })
    }

    /// Has the broker keep what cannot be understood, with the reason.
    async fn bury(&mut self, delivery: &Delivery, reason: &str) -> Result<()> {
        let mut kept = self.keep(&delivery.data, labelled(delivery, reason)).await;
        if kept.as_ref().is_err_and(is_refusal) {
            // What a stranger wrote may be wrong in a way that nobody thought of, and must not come again for ever.
            kept = self.keep(&delivery.data, BasicProperties::default().with_delivery_mode(2)).await;
        }
        if kept.map_err(Error::unavailable)? {
            Ok(())
        } else {
            Err(Error::unavailable(format!("the broker does not keep {}", self.dead_letters)))
        }
    }

    /// Whether the broker keeps a dead letter.
    async fn keep(&mut self, body: &[u8], properties: BasicProperties) -> lapin::Result<bool> {
        let channel = match self.graves.take().filter(|channel| channel.status().connected()) {
            Some(channel) => channel,
            None => {
                let channel = self.connection.create_channel().await?;
                channel.confirm_select(ConfirmSelectOptions::default()).await?;
                channel
            }
        };
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let (exchange, routing_key) = ("".into(), self.dead_letters.as_str().into());
        let sent = channel.basic_publish(exchange, routing_key, options, body, properties).await?;
        let is_kept = matches!(sent.await?, Confirmation::Ack(None));
        self.graves = Some(channel);
        Ok(is_kept)
    }
}

/// What a dead letter tells beside its body. Nothing else of the original goes with it: the broker acts by properties and
/// headers, such as by whose it is, when it expires and where a copy goes.
fn labelled(delivery: &Delivery, reason: &str) -> BasicProperties {
    let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
    let mut headers = FieldTable::default();
    headers.insert("x-reason".into(), AMQPValue::LongString(reason.into()));
    headers.insert("x-routing-key".into(), AMQPValue::LongString(delivery.routing_key.as_str().into()));
    let original = &delivery.properties;
    if let Some(others) = original.headers().as_ref().filter(|others| is_small(others)) {
        headers.insert("x-headers".into(), AMQPValue::FieldTable(others.clone()));
    }
    let mut properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
    if let Some(content_type) = original.content_type().clone() {
        properties = properties.with_content_type(content_type);
    }
    if let Some(id) = original.message_id().clone() {
        properties = properties.with_message_id(id);
    }
    properties
}

/// Their text is longer than what is sent of them.
fn is_small(headers: &FieldTable) -> bool {
    format!("{headers:?}").len() <= HEADERS_CHARS_MAX
}

/// Whether the broker does not take what it was sent, rather than being away.
fn is_refusal(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(_))
}

#[async_trait]
impl EventQueue for Queue {
    async fn take(&mut self, most: usize) -> Result<Vec<Arrival>> {
        let mut next = match self.messages.next().now_or_never() {
            Some(next) => next,
            None if self.is_finishing => return Ok(Vec::new()),
            None => self.messages.next().await,
        };
        loop {
            match next {
                Some(Ok(delivery)) => self.taken.push(delivery),
                None if self.is_finishing => break,
                Some(Err(error)) => return Err(Error::unavailable(error)),
                None => return Err(Error::unavailable("the broker has ended the delivery of this queue")),
            }
            if self.taken.len() >= most {
                break;
            }
            let Some(ready) = self.messages.next().now_or_never() else { break };
            next = ready;
        }
        let body = |delivery: &mut Delivery| Arrival { body: delivery.data.clone() };
        Ok(self.taken.iter_mut().map(body).collect())
    }

    async fn hold(&mut self) -> Result<()> {
        // The broker waits for half an hour; that the connection lives is all that it must know.
        if self.channel.status().connected() {
            return Ok(());
        }
        Err(Error::unavailable("the connection to the broker was lost"))
    }

    async fn settle(&mut self, outcomes: &[Outcome]) -> Result<()> {
        let taken = std::mem::take(&mut self.taken);
        for (delivery, outcome) in taken.iter().zip(outcomes) {
            if let Outcome::Dead(reason) = outcome {
                self.bury(delivery, reason).await?;
            }
        }
        let Some(last) = taken.last() else { return Ok(()) };
        // The last one speaks for all before it.
        match last.acker.ack(BasicAckOptions { multiple: true }).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::unavailable("the channel was closed before the acknowledgement")),
            Err(error) => Err(Error::unavailable(error)),
        }
    }

    async fn finish(&mut self) -> Result<()> {
        self.is_finishing = true;
        let cancelled = self.channel.basic_cancel(self.messages.tag(), BasicCancelOptions::default());
        cancelled.await.map_err(Error::unavailable)
    }
}
