//! Events to send, and the reader of the CloudEvents project, which knows nothing of this one.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use neuroglia::data::OutboxMessage;
use neuroglia::error::{ErrorKind, Result, chain};
use neuroglia::messaging::{CloudEvent, EventBus, EventQueue, Origin, Outcome, Subscription, Subscriptions};
use neuroglia_testing::workbench::{message, new_id};
use serde_json::Value;
use tokio::time::{sleep, timeout};

/// How long something may take that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The origin of an application that no other test has.
pub(crate) fn origin() -> Arc<Origin> {
    Arc::new(Origin::of(&format!("shop-{}", new_id().simple())))
}

/// That `bell` wants to know when an order is ready.
pub(crate) fn wants() -> Arc<Subscriptions> {
    Arc::new(Subscriptions(vec![Subscription {
        consumer: "bell".to_owned(),
        event: "order.ready".to_owned(),
        queue: "default".to_owned(),
        is_ordered: true,
        attempts_max: 3,
    }]))
}

pub(crate) fn event(origin: &Origin, data: &str) -> CloudEvent {
    let message = OutboxMessage {
        data: data.to_owned(),
        correlation_id: Some("request-7".to_owned()),
        ..message("order.ready", "o-1")
    };
    CloudEvent::of(message, origin).expect("its data is JSON")
}

/// Publishes one event; what became of it.
pub(crate) async fn publish(bus: &dyn EventBus, event: &CloudEvent) -> Result<()> {
    bus.publish(std::slice::from_ref(event)).await.remove(0)
}

/// Publishes one event until it is confirmed.
pub(crate) async fn send(bus: &dyn EventBus, event: &CloudEvent) {
    until_done(async || publish(bus, event).await).await;
}

/// Tries something until it is done.
async fn until_done(attempt: impl AsyncFn() -> Result<()>) {
    let mut last = None;
    let trying = async {
        while let Err(error) = attempt().await {
            last = Some(error);
            sleep(Duration::from_millis(50)).await;
        }
    };
    let done = timeout(PATIENCE, trying).await;
    done.unwrap_or_else(|_| panic!("it is not done within {PATIENCE:?}: {last:?}"));
}

/// Takes events and settles them until enough have come; gives their data, in order.
pub(crate) async fn take_until(
    queue: &mut dyn EventQueue,
    is_enough: impl Fn(&[String]) -> bool,
) -> Vec<String> {
    let mut all = Vec::new();
    while !is_enough(&all) {
        let taken = timeout(PATIENCE, queue.take(100)).await.expect("it is there").expect("it is given");
        queue.settle(&vec![Outcome::Stored; taken.len()]).await.expect("it is settled");
        for arrival in taken {
            let event: CloudEvent = serde_json::from_slice(&arrival.body).expect("an event");
            all.push(event.data.get().to_owned());
        }
    }
    all
}

/// Checks that a file of authorities which cannot be used is refused before anybody connects.
pub(crate) fn assert_authorities_are_read<T>(scheme: &str, open: impl Fn(&str) -> Result<T>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing").expect("a file");
    for (file, part) in [(folder.path().join("missing.pem"), "No such file"), (empty, "no certificate")] {
        let url = format!("{scheme}://localhost?cacertfile={}", file.display());
        let error = open(&url).map(drop).expect_err("it is refused");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(part), "{error}");
    }
}

/// Checks that a bus which has a certificate for `localhost` is talked to by that name and by its authority, and in no
/// other way.
pub(crate) async fn assert_bus_is_verified(
    port: u16,
    authority: &Path,
    schemes: [&str; 2],
    bus: impl Fn(&str, &Arc<Origin>) -> Box<dyn EventBus>,
) {
    let origin = origin();
    let tell = async |url: &str| publish(&*bus(url, &origin), &event(&origin, "0")).await;
    assert_certificate_is_verified(port, authority, schemes, tell).await;
}

/// Checks that a server which has a certificate for `localhost` is talked to by that name and by its authority, and in no
/// other way.
pub(crate) async fn assert_certificate_is_verified(
    port: u16,
    authority: &Path,
    [encrypted, plain]: [&str; 2],
    talk: impl AsyncFn(&str) -> Result<()>,
) {
    let at = |scheme: &str, host: &str, query: &str| format!("{scheme}://{host}:{port}{query}");
    let authority = format!("?cacertfile={}", authority.display());
    let sound = at(encrypted, "localhost", &authority);
    until_done(async || talk(&sound).await).await;

    let refused = async |url: String| {
        let refused = talk(&url).await.expect_err(&url);
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{url}: {refused:?}");
        chain(&refused)
    };
    // The same server by another name, and by an authority that nobody knows here.
    for url in [at(encrypted, "127.0.0.1", &authority), at(encrypted, "localhost", "")] {
        let cause = refused(url).await;
        assert!(cause.contains("certificate"), "{cause}");
    }
    refused(at(plain, "localhost", "")).await;
}

/// The schema that the specification has for events in the JSON format: `cloudevents/formats/cloudevents.json` of
/// <https://github.com/cloudevents/spec>, under the Apache License 2.0.
const SCHEMA: &str = include_str!("cloudevents.json");

/// Checks that an event in the JSON format is what the specification's schema says.
#[track_caller]
fn assert_follows_the_schema(event: &[u8]) {
    let schema = serde_json::from_str(SCHEMA).expect("a schema is JSON");
    let schema = jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema");
    let event: Value = serde_json::from_slice(event).expect("an event is JSON");
    let faults: Vec<_> = schema.iter_errors(&event).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{event} is no CloudEvent: {faults:?}");
}

/// Reads CloudEvents in the JSON format, which the specification's schema allows, with the SDK of the CloudEvents project, which refuses what breaks the
/// specification; gives the attributes of each.
pub(crate) fn read_by_sdk(events: &[Vec<u8>]) -> Vec<Value> {
    const SDK: &str = include_str!("sdk.sh");
    let mut command = Command::new("sh");
    command.args(["-c", SDK]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut sdk = command.spawn().expect("a shell");
    let mut input = sdk.stdin.take().expect("it is piped");
    for event in events {
        assert_follows_the_schema(event);
        input.write_all(event).and_then(|()| input.write_all(b"\n")).expect("it reads");
    }
    drop(input);
    let output = sdk.wait_with_output().expect("it ends");
    assert!(output.status.success(), "the SDK refuses an event; it says why above");
    let text = String::from_utf8(output.stdout).expect("it writes text");
    text.lines().map(|line| serde_json::from_str(line).expect("it writes JSON")).collect()
}
