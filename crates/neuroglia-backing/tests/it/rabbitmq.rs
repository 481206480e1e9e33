//! RabbitMQ, as a stock client sees it and as the suite examines it.

use std::sync::Arc;

use async_trait::async_trait;
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use neuroglia::id::Ids;
use neuroglia::messaging::{Inbox, Origin, Subscriptions};
use neuroglia_backing::amqp::AmqpBus;
use neuroglia_testing::conformance::bus::{Attached, Bench};
use neuroglia_testing::services::RabbitMq;
use neuroglia_testing::{Strait, Weather};

/// RabbitMQ behind a strait, and another way to it for strangers.
pub(crate) struct RabbitBench {
    application: String,
    strait: Strait,
}

impl RabbitBench {
    pub(crate) fn new() -> Self {
        let application = format!("shop-{}", Ids::random().next_uuid().simple());
        Self { application, strait: Strait::to(RabbitMq::shared().port()) }
    }

    fn url(&self) -> String {
        format!("amqp://127.0.0.1:{}", self.strait.port())
    }
}

/// A channel of a client that knows nothing of this project; the connection lives as long as it.
pub(crate) async fn stranger() -> (Connection, Channel) {
    let url = RabbitMq::shared().url();
    let connection =
        Connection::connect(&url, ConnectionProperties::default()).await.expect("the broker is there");
    let channel = connection.create_channel().await.expect("a channel");
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("the broker confirms");
    (connection, channel)
}

#[async_trait]
impl Bench for RabbitBench {
    fn application(&self) -> &str {
        &self.application
    }

    async fn attach(&self, _: Inbox, origin: Arc<Origin>, subscriptions: Arc<Subscriptions>) -> Attached {
        let url = self.url().parse().expect("a URL");
        let bus = Arc::new(AmqpBus::new(&url, origin, subscriptions).expect("a sound URL"));
        Attached { bus: Arc::clone(&bus) as _, source: Some(bus) }
    }

    async fn inject(&self, event_type: &str, body: &[u8]) -> bool {
        let (_connection, channel) = stranger().await;
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let exchange = format!("{}.events", self.application);
        let declared = channel.exchange_declare(
            exchange.as_str().into(),
            ExchangeKind::Topic,
            options,
            FieldTable::default(),
        );
        declared.await.expect("the exchange has no arguments but that it is durable");
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let sent = channel.basic_publish(
            exchange.into(),
            event_type.into(),
            options,
            body,
            BasicProperties::default(),
        );
        let confirmed = sent.await.expect("it is sent").await.expect("the broker answers");
        assert!(confirmed.is_ack() && confirmed.take_message().is_none(), "a queue takes it");
        true
    }

    async fn dead_letters(&self, consumer: &str) -> Vec<Vec<u8>> {
        let (_connection, channel) = stranger().await;
        let queue = format!("{}.{consumer}.dead", self.application);
        let mut letters = Vec::new();
        // They are not acknowledged, and wait again when the channel is closed.
        while let Some(message) = channel
            .basic_get(queue.as_str().into(), BasicGetOptions::default())
            .await
            .expect("the queue of dead letters is there")
        {
            letters.push(message.delivery.data);
        }
        letters
    }

    async fn waiting(&self, consumer: &str) -> Option<usize> {
        let (_connection, channel) = stranger().await;
        let queue = format!("{}.{consumer}", self.application);
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let queue = channel.queue_declare(queue.into(), passive, FieldTable::default()).await.ok()?;
        Some(queue.message_count() as usize)
    }

    fn turn(&self, weather: Weather) -> bool {
        self.strait.turn(weather);
        true
    }
}
