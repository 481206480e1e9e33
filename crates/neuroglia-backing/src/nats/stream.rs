//! What is declared at the server: streams, and what they keep for each consumer.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, FromConsumer, pull};
use async_nats::jetstream::stream::{
    Config, ConsumerError, ConsumerErrorKind, DiscardPolicy, RetentionPolicy, StorageType,
};
use async_nats::jetstream::{Context, ErrorCode};
use neuroglia::error::{Error, Result};

use super::NatsBus;

/// How long the streams that are made here keep a message: 30 days, as long as the store keeps what failed for good.
const KEEP: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How many messages the server gives before the first of them is acknowledged; more than are pulled at once.
const ACKNOWLEDGEMENTS_PENDING_MAX: i64 = 1_000;

/// Declares the stream of events and that of dead letters.
pub(super) async fn declare(context: &Context, bus: &NatsBus) -> Result<()> {
    let application = bus.origin.application();
    for (name, subject) in [
        (application.to_owned(), format!("{application}.events.>")),
        (format!("{application}-dead"), format!("{application}.dead.>")),
    ] {
        let config = Config {
            name: name.clone(),
            subjects: vec![subject],
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::Old,
            storage: StorageType::File,
            max_age: KEEP,
            num_replicas: 1,
            ..Config::default()
        };
        context.get_or_create_stream(config).await.map_err(Error::unavailable)?;
    }
    Ok(())
}

/// Declares the durable consumer of one consumer, which begins with what is sent from now on. Events that another
/// release wants for it are kept.
pub(super) async fn declare_consumer(
    context: &Context,
    bus: &NatsBus,
    consumer: &str,
) -> Result<Consumer<pull::Config>> {
    let stream = bus.origin.application();
    let filters = bus.filters(consumer);
    let known: Result<Consumer<pull::Config>, _> = context.get_consumer_from_stream(consumer, stream).await;
    match known {
        Ok(known) => {
            let config = known.cached_info().config.clone();
            let one = Some(config.filter_subject.clone()).filter(|subject| !subject.is_empty());
            let present: BTreeSet<_> = config.filter_subjects.iter().cloned().chain(one).collect();
            if filters.is_subset(&present) {
                return Ok(known);
            }
            let others = pull::Config::try_from_consumer_config(config).map_err(Error::unavailable)?;
            let filter_subjects = filters.union(&present).cloned().collect();
            let config = pull::Config { filter_subject: String::new(), filter_subjects, ..others };
            context.create_consumer_on_stream(config, stream).await.map_err(Error::unavailable)
        }
        Err(error) if is_absent(&error) => {
            let config = pull::Config {
                durable_name: Some(consumer.to_owned()),
                deliver_policy: DeliverPolicy::New,
                ack_policy: AckPolicy::Explicit,
                ack_wait: bus.options.acknowledgement_wait,
                max_deliver: -1,
                max_ack_pending: ACKNOWLEDGEMENTS_PENDING_MAX,
                filter_subjects: filters.into_iter().collect(),
                ..pull::Config::default()
            };
            // One that another release has made meanwhile is not overwritten; the next try adds to it.
            context.create_consumer_strict_on_stream(config, stream).await.map_err(Error::unavailable)
        }
        // What it wants, if it is there, is not known.
        Err(error) => Err(Error::unavailable(error)),
    }
}

/// Whether the server says that there is no such consumer.
fn is_absent(error: &ConsumerError) -> bool {
    let ConsumerErrorKind::JetStream(answer) = error.kind() else { return false };
    answer.error_code() == ErrorCode::CONSUMER_NOT_FOUND
}

#[cfg(test)]
mod tests {
    use async_nats::jetstream;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_consumer_is_absent_when_the_server_says_so_and_not_when_it_says_something_else_or_nothing() {
        let answer = |status: u16, code: u16| -> ConsumerError {
            let answer = json!({ "code": status, "err_code": code, "description": "so it is" });
            let answer: jetstream::Error = serde_json::from_value(answer).expect("an answer of the server");
            answer.into()
        };
        assert!(is_absent(&answer(404, 10014)));
        // There is no such stream; the server has no leader.
        assert!(!is_absent(&answer(404, 10059)) && !is_absent(&answer(503, 10008)));
        for kind in [ConsumerErrorKind::TimedOut, ConsumerErrorKind::Request, ConsumerErrorKind::Other] {
            assert!(!is_absent(&ConsumerError::new(kind.clone())), "{kind:?}");
        }
    }
}
