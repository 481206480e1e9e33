//! NATS JetStream, as a stock client sees it and as the suite examines it.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::pull;
use async_trait::async_trait;
use neuroglia::id::Ids;
use neuroglia::messaging::{Inbox, Origin, Subscriptions};
use neuroglia_backing::nats::{NatsBus, NatsOptions};
use neuroglia_testing::conformance::bus::{Attached, Bench};
use neuroglia_testing::services::Nats;
use neuroglia_testing::{Strait, Weather};

/// Short, so that what died is missed soon; longer than it takes until who holds a message says so again.
pub(crate) const ACKNOWLEDGEMENT_WAIT: Duration = Duration::from_secs(6);

/// NATS behind a strait, and another way to it for strangers.
pub(crate) struct NatsBench {
    application: String,
    strait: Strait,
}

impl NatsBench {
    pub(crate) fn new() -> Self {
        let application = format!("shop-{}", Ids::random().next_uuid().simple());
        Self { application, strait: Strait::to(Nats::shared().port()) }
    }
}

/// A client that knows nothing of this project.
pub(crate) async fn stranger() -> jetstream::Context {
    jetstream::new(async_nats::connect(Nats::shared().url()).await.expect("the server is there"))
}

#[async_trait]
impl Bench for NatsBench {
    fn application(&self) -> &str {
        &self.application
    }

    async fn attach(&self, _: Inbox, origin: Arc<Origin>, subscriptions: Arc<Subscriptions>) -> Attached {
        let url = format!("nats://127.0.0.1:{}", self.strait.port()).parse().expect("a URL");
        let options = NatsOptions { acknowledgement_wait: ACKNOWLEDGEMENT_WAIT };
        let bus = Arc::new(NatsBus::new(&url, options, origin, subscriptions).expect("a sound URL"));
        Attached { bus: Arc::clone(&bus) as _, source: Some(bus) }
    }

    async fn inject(&self, event_type: &str, body: &[u8]) -> bool {
        let subject = format!("{}.events.{event_type}", self.application);
        let context = stranger().await;
        let sent = context.publish(subject, body.to_vec().into()).await.expect("it is sent");
        assert_eq!(sent.await.expect("a stream takes it").stream, self.application);
        true
    }

    async fn dead_letters(&self, consumer: &str) -> Vec<Vec<u8>> {
        let stream = stranger().await.get_stream(format!("{}-dead", self.application)).await;
        let Ok(mut stream) = stream else { return Vec::new() };
        let last = stream.info().await.expect("the stream answers").state.last_sequence;
        let mut letters = Vec::new();
        for number in 1..=last {
            let letter = stream.get_raw_message(number).await.expect("a dead letter is kept");
            if *letter.subject == *format!("{}.dead.{consumer}", self.application) {
                letters.push(letter.payload.to_vec());
            }
        }
        letters
    }

    async fn waiting(&self, consumer: &str) -> Option<usize> {
        let context = stranger().await;
        let found: Result<jetstream::consumer::Consumer<pull::Config>, _> =
            context.get_consumer_from_stream(consumer, self.application.as_str()).await;
        Some(usize::try_from(found.ok()?.cached_info().num_pending).unwrap_or(usize::MAX))
    }

    fn turn(&self, weather: Weather) -> bool {
        self.strait.turn(weather);
        true
    }
}
