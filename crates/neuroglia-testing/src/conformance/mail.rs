//! What every adapter of the port to mail servers must do, rule by rule.
//!
//! An adapter's tests give a function that makes a [`Bench`]: the adapter, and a server behind it of which can be read
//! what has arrived, and which can be told to refuse.
//!
//! ```
//! use neuroglia_testing::conformance::mail::{InMemory, run};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! run(async || InMemory::default()).await;
//! # });
//! ```
//!
//! The suite is itself tested: adapters that are wrong in one way each must fail it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use neuroglia::clock::Timestamp;
use neuroglia::error::{Error, ErrorKind};
use neuroglia::id::Ids;
use neuroglia::mail::{EmailAddress, MailServer, MemoryMailServer, Message, MessageId, Refusal, Subject};
use neuroglia::work::{Settlement, after_failure};
use serde::Deserialize;

/// An adapter under examination.
#[async_trait]
pub trait Bench: Send + Sync + 'static {
    /// The adapter.
    fn server(&self) -> Arc<dyn MailServer>;

    /// Has the server behind it refuse mail for an address.
    async fn refuse(&self, to: &EmailAddress, refusal: Refusal);

    /// What the server behind it has taken, in order.
    async fn arrived(&self) -> Vec<Arrived>;
}

/// A message as it arrived, read by somebody else than who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Arrived {
    /// The sender of the envelope.
    pub from: String,
    /// The recipients of the envelope.
    pub to: Vec<String>,
    /// Whether it came over an encrypted connection.
    pub encrypted: bool,
    /// Who was let in with it.
    pub user: Option<String>,
    /// Its headers, decoded, in order.
    pub headers: Vec<(String, String)>,
    /// Its part of plain text, in lines that end with `\n`.
    pub text: Option<String>,
    /// Its part of HTML, in lines that end with `\n`.
    pub html: Option<String>,
}

impl Arrived {
    /// The values of a header, whatever the case of its name.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }
}

/// The bench of the memory server.
#[derive(Debug, Default)]
pub struct InMemory(Arc<MemoryMailServer>);

#[async_trait]
impl Bench for InMemory {
    fn server(&self) -> Arc<dyn MailServer> {
        Arc::clone(&self.0) as _
    }

    async fn refuse(&self, to: &EmailAddress, refusal: Refusal) {
        self.0.refuse(to.clone(), refusal);
    }

    async fn arrived(&self) -> Vec<Arrived> {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let arrived = self.0.arrived();
        let read = |message: &Message| Arrived {
            from: message.from.to_string(),
            to: vec![message.to.to_string()],
            encrypted: false,
            user: None,
            headers: vec![
                header("Message-ID", message.message_id.as_str()),
                header("From", message.from.as_str()),
                header("To", message.to.as_str()),
                header("Subject", message.subject.as_str()),
                header("Date", "now"),
            ],
            text: Some(message.text.clone()),
            html: message.html.clone(),
        };
        arrived.iter().map(read).collect()
    }
}

/// What holds an adapter to a rule.
type Check = fn(Arc<dyn Bench>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// One rule: an adapter that breaks it makes it panic with the reason.
#[derive(Clone, Copy)]
pub struct Rule {
    /// What it says.
    pub name: &'static str,
    check: Check,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! rules {
    ($($name:ident,)+) => {
        /// Every rule.
        pub const RULES: &[Rule] = &[$(
            Rule { name: stringify!($name), check: |bench| Box::pin($name(bench)) },
        )+];
    };
}

rules! {
    a_message_arrives_as_it_was_written,
    a_message_without_html_arrives_as_text,
    every_line_arrives_as_it_was_written,
    a_repeated_message_is_recognised,
    no_text_becomes_a_header,
    a_message_reaches_its_reader_and_nobody_else,
    many_messages_at_once_arrive_once_each,
    what_is_refused_for_good_is_not_tried_again,
    what_is_refused_for_now_is_tried_again,
    what_is_refused_stands_in_no_ones_way,
    a_refusal_names_nobody,
    a_server_that_is_there_says_so,
}

/// The rules that the adapter breaks, each on a bench of its own, with the reasons.
pub async fn broken<B: Bench>(make: impl AsyncFn() -> B) -> Vec<(Rule, String)> {
    let mut broken = Vec::new();
    for rule in RULES {
        let bench: Arc<dyn Bench> = Arc::new(make().await);
        if let Err(stopped) = tokio::spawn((rule.check)(bench)).await {
            let why = match stopped.try_into_panic() {
                Ok(panic) => match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
                    (Some(text), _) => text.clone(),
                    (None, Some(text)) => (*text).to_owned(),
                    (None, None) => "a panic without a text".to_owned(),
                },
                Err(stopped) => stopped.to_string(),
            };
            broken.push((*rule, why));
        }
    }
    broken
}

/// Checks every rule, each on a bench of its own.
///
/// # Panics
/// With every rule that the adapter breaks, and how.
pub async fn run<B: Bench>(make: impl AsyncFn() -> B) {
    let broken = broken(make).await;
    let lines: Vec<_> = broken.iter().map(|(rule, why)| format!("{}: {why}", rule.name)).collect();
    assert!(lines.is_empty(), "the adapter breaks {} rules:\n{}", lines.len(), lines.join("\n"));
}

async fn a_message_arrives_as_it_was_written(bench: Arc<dyn Bench>) {
    let written = message("whole", "ada@example.com");
    deliver(&*bench, &written).await.expect("it is taken");
    let arrived = only(&*bench).await;
    assert_eq!((&*arrived.from, &*arrived.to), ("mario@pizza.example", &["ada@example.com".to_owned()][..]));
    assert_eq!(arrived.headers("Message-ID"), ["<whole@pizza.example>"]);
    assert_eq!(arrived.headers("From"), ["mario@pizza.example"]);
    assert_eq!(arrived.headers("To"), ["ada@example.com"]);
    assert_eq!(arrived.headers("Subject"), [written.subject.as_str()]);
    assert_eq!(arrived.headers("Date").len(), 1, "a message has a date");
    assert_eq!(arrived.text.as_deref(), Some(&*written.text));
    assert_eq!(arrived.html, written.html);
}

async fn a_message_without_html_arrives_as_text(bench: Arc<dyn Bench>) {
    let written = Message { html: None, ..message("plain", "ada@example.com") };
    deliver(&*bench, &written).await.expect("it is taken");
    let arrived = only(&*bench).await;
    assert_eq!((arrived.text.as_deref(), arrived.html), (Some(&*written.text), None));
}

async fn every_line_arrives_as_it_was_written(bench: Arc<dyn Bench>) {
    let text = [
        ".",
        "..",
        ".begins with a point",
        "From the kitchen",
        "ends with a space ",
        "\ttab",
        "=3D =E4 ==",
        "--=_lines_=",
        "",
        "grüße 🍕",
        &"x".repeat(5_000),
        "QUIT",
        "",
    ];
    let text = text.join("\n");
    let written =
        Message { text: text.clone(), html: Some(text.clone()), ..message("lines", "ada@example.com") };
    deliver(&*bench, &written).await.expect("it is taken");
    let arrived = only(&*bench).await;
    assert_eq!(arrived.text.as_deref(), Some(&*text));
    assert_eq!(arrived.html.as_deref(), Some(&*text));
}

async fn a_repeated_message_is_recognised(bench: Arc<dyn Bench>) {
    let written = message("again", "ada@example.com");
    for _ in 0..2 {
        deliver(&*bench, &written).await.expect("it is taken");
    }
    let arrived = bench.arrived().await;
    assert_eq!(arrived.len(), 2, "the port is asked to send, and sends");
    assert_eq!(arrived[0], arrived[1], "every attempt is the same");
}

async fn no_text_becomes_a_header(bench: Arc<dyn Bench>) {
    let forged = "hello\r\nBcc: eve@example.com\r\n\r\nforged";
    let written = Message {
        subject: Subject::from(forged),
        text: format!("{forged}\n.\r\nMAIL FROM:<eve@example.com>\n"),
        ..message("forged", "ada@example.com")
    };
    deliver(&*bench, &written).await.expect("it is taken");
    let arrived = only(&*bench).await;
    assert_eq!(arrived.to, ["ada@example.com"]);
    assert_eq!(arrived.headers("Bcc"), [] as [&str; 0]);
    assert_eq!(arrived.headers("Subject"), ["hello Bcc: eve@example.com forged"]);
}

async fn a_message_reaches_its_reader_and_nobody_else(bench: Arc<dyn Bench>) {
    for name in ["ada", "bob", "eve"] {
        let to = format!("{name}@example.com");
        deliver(&*bench, &message(name, &to)).await.expect("it is taken");
    }
    let readers: Vec<_> = bench.arrived().await.into_iter().map(|arrived| arrived.to).collect();
    assert_eq!(readers, [["ada@example.com"], ["bob@example.com"], ["eve@example.com"]]);
}

async fn many_messages_at_once_arrive_once_each(bench: Arc<dyn Bench>) {
    const COUNT: usize = 40;
    let sending = (0..COUNT).map(|number| {
        let server = bench.server();
        tokio::spawn(
            async move { server.deliver(&message(&format!("many-{number}"), "ada@example.com")).await },
        )
    });
    for sent in sending.collect::<Vec<_>>() {
        sent.await.expect("it does not panic").expect("it is taken");
    }
    let mut ids: Vec<_> =
        bench.arrived().await.iter().map(|one| one.headers("Message-ID").concat()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), bench.arrived().await.len()), (COUNT, COUNT));
}

async fn what_is_refused_for_good_is_not_tried_again(bench: Arc<dyn Bench>) {
    let to = address("nobody@example.com");
    bench.refuse(&to, Refusal::Always).await;
    let error = deliver(&*bench, &message("refused", to.as_str())).await.expect_err("it is refused");
    assert!(is_dead(&error), "{error:?}");
    assert_eq!(bench.arrived().await, []);
}

async fn what_is_refused_for_now_is_tried_again(bench: Arc<dyn Bench>) {
    let to = address("busy@example.com");
    bench.refuse(&to, Refusal::Once).await;
    let written = message("later", to.as_str());
    let error = deliver(&*bench, &written).await.expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(!is_dead(&error), "{error:?}");
    deliver(&*bench, &written).await.expect("it is taken");
    assert_eq!(only(&*bench).await.headers("Message-ID"), ["<later@pizza.example>"]);
}

async fn what_is_refused_stands_in_no_ones_way(bench: Arc<dyn Bench>) {
    let to = address("nobody@example.com");
    bench.refuse(&to, Refusal::Always).await;
    for number in 0..8 {
        deliver(&*bench, &message(&format!("refused-{number}"), to.as_str()))
            .await
            .expect_err("it is refused");
        deliver(&*bench, &message(&format!("taken-{number}"), "ada@example.com")).await.expect("it is taken");
    }
    assert_eq!(bench.arrived().await.len(), 8);
}

async fn a_refusal_names_nobody(bench: Arc<dyn Bench>) {
    let to = address("nobody@example.com");
    for refusal in [Refusal::Always, Refusal::Once] {
        bench.refuse(&to, refusal).await;
        let error = deliver(&*bench, &message("refused", to.as_str())).await.expect_err("it is refused");
        let said = format!("{error:?} {}", neuroglia::error::chain(&error));
        assert!(!said.contains("nobody@"), "it goes to logs: {said}");
    }
}

async fn a_server_that_is_there_says_so(bench: Arc<dyn Bench>) {
    bench.server().check().await.expect("it answers");
    assert_eq!(bench.arrived().await, [], "asking sends nothing");
    assert!(!bench.server().kind().contains(':'), "a kind is no URL");
}

// What the rules are written in.

fn address(text: &str) -> EmailAddress {
    text.parse().expect("the suite's own addresses are sound")
}

fn message(key: &str, to: &str) -> Message {
    let from = address("mario@pizza.example");
    Message {
        message_id: MessageId::new(&key.parse().expect("the suite's own keys are sound"), &from),
        from,
        to: address(to),
        subject: Subject::from(
            "Ihre Pizza „Grüße aus Neapel“ 🍕 is on its way to you, and this is a rather long line about it",
        ),
        text: "Dear Ada,\n\ngrüße 🍕\n".to_owned(),
        html: Some("<!doctype html>\n<p>Dear Ada,</p>\n<p>grüße 🍕</p>\n".to_owned()),
        written_at: Timestamp::from_unix_micros(1_700_000_000_000_000),
    }
}

async fn deliver(bench: &dyn Bench, message: &Message) -> Result<(), Error> {
    bench.server().deliver(message).await
}

async fn only(bench: &dyn Bench) -> Arrived {
    let mut arrived = bench.arrived().await;
    assert_eq!(arrived.len(), 1, "one message arrives: {arrived:?}");
    arrived.remove(0)
}

/// Whether durable work gives up at the first such error.
fn is_dead(error: &Error) -> bool {
    matches!(after_failure(error, 1, 10, &Ids::sequence()), Settlement::Dead { .. })
}
