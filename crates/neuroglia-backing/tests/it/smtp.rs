//! The adapter of mail against a server that others have written, in the clear, by TLS and with a password.

use std::sync::Arc;

use async_trait::async_trait;
use neuroglia::clock::Timestamp;
use neuroglia::error::{ErrorKind, Result};
use neuroglia::mail::{EmailAddress, MailServer, Message, MessageId, Refusal, Subject};
use neuroglia_testing::conformance::mail::{Arrived, Bench, run};
use neuroglia_testing::services::{Misbehaviour, Smtp, SmtpTls};

/// The adapter, and the server behind it.
struct OverSmtp {
    adapter: Arc<dyn MailServer>,
    server: Smtp,
}

#[async_trait]
impl Bench for OverSmtp {
    fn server(&self) -> Arc<dyn MailServer> {
        Arc::clone(&self.adapter)
    }

    async fn refuse(&self, to: &EmailAddress, refusal: Refusal) {
        let how = match refusal {
            Refusal::Always => Misbehaviour::Refuse,
            Refusal::Once => Misbehaviour::RefuseOnce,
        };
        self.server.misbehave(to.as_str(), how);
    }

    async fn arrived(&self) -> Vec<Arrived> {
        self.server.arrived()
    }
}

pub(crate) async fn adapter(url: &str) -> Arc<dyn MailServer> {
    neuroglia_backing::mail::connect(&url.parse().expect("a URL")).await.expect("a location")
}

pub(crate) fn message(key: &str, to: &str) -> Message {
    let from: EmailAddress = "mario@pizza.example".parse().expect("an address");
    Message {
        message_id: MessageId::new(&key.parse().expect("a key"), &from),
        from,
        to: to.parse().expect("an address"),
        subject: Subject::from("Your pizza"),
        text: "is ready\n".to_owned(),
        html: None,
        written_at: Timestamp::UNIX_EPOCH,
    }
}

/// The server by the name that its certificate has, with these parameters.
fn named(server: &Smtp, scheme: &str, credentials: &str, parameters: &str) -> String {
    let (port, authority) = (server.port(), server.authority());
    format!("{scheme}://{credentials}localhost:{port}?cacertfile={}{parameters}", authority.display())
}

/// What comes of one message.
async fn sent(url: &str) -> Result<()> {
    adapter(url).await.deliver(&message("one", "ada@example.com")).await
}

#[tokio::test]
async fn the_adapter_keeps_every_rule_in_the_clear() {
    run(async || {
        let server = Smtp::start();
        OverSmtp { adapter: adapter(&server.url()).await, server }
    })
    .await;
}

#[tokio::test]
async fn the_adapter_keeps_every_rule_by_tls_and_with_a_password() {
    run(async || {
        let server = Smtp::start_guarded(SmtpTls::Offered);
        let user = format!("{}@", Smtp::CREDENTIALS);
        OverSmtp { adapter: adapter(&named(&server, "smtp", &user, "&tls=required")).await, server }
    })
    .await;
}

#[tokio::test]
async fn encryption_is_taken_where_it_is_offered_and_demanded_where_it_must_be() {
    let offered = Smtp::start_certified(SmtpTls::Offered);
    for parameters in ["", "&tls=opportunistic", "&tls=required"] {
        sent(&named(&offered, "smtp", "", parameters)).await.expect(parameters);
    }
    assert!(offered.arrived().iter().all(|one| one.encrypted), "{:?}", offered.arrived());

    let wrapped = Smtp::start_certified(SmtpTls::Wrapped);
    sent(&named(&wrapped, "smtps", "", "")).await.expect("it is taken");
    assert_eq!(wrapped.arrived().len(), 1);

    let plain = Smtp::start();
    sent(&plain.url()).await.expect("nothing is offered, and nothing demanded");
    let error = sent(&format!("{}?tls=required", plain.url())).await.expect_err("nothing is sent");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert_eq!(plain.arrived().len(), 1, "and nothing was sent in the clear");
}

#[tokio::test]
async fn who_answers_is_who_was_asked_or_nobody_is_talked_to() {
    for (tls, scheme) in [(SmtpTls::Offered, "smtp"), (SmtpTls::Wrapped, "smtps")] {
        let server = Smtp::start_certified(tls);
        let by_address = named(&server, scheme, "", "").replace("localhost", "127.0.0.1");
        let by_nobody = format!("{scheme}://localhost:{}", server.port());
        for url in [by_address, by_nobody] {
            let error = sent(&url).await.expect_err("the certificate is not for that");
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
            assert!(error.to_string().contains("certificate"), "{error}");
        }
        assert_eq!(server.arrived(), []);
    }
}

#[tokio::test]
async fn a_password_lets_us_in_and_a_wrong_one_costs_no_mail() {
    let server = Smtp::start_guarded(SmtpTls::None);
    let port = server.port();
    sent(&format!("smtp://{}@127.0.0.1:{port}", Smtp::CREDENTIALS)).await.expect("we are let in");
    assert_eq!(server.arrived()[0].user.as_deref(), Some("pizzeria"));

    for stranger in ["pizzeria:hunter2@", ""] {
        let error = sent(&format!("smtp://{stranger}127.0.0.1:{port}")).await.expect_err("we are not let in");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "the mail waits: {error:?}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    let error = adapter(&format!("smtp://pizzeria:hunter2@127.0.0.1:{port}")).await.check().await;
    assert!(error.expect_err("it is not well").to_string().contains("535"));
    assert_eq!(server.arrived().len(), 1);
}

#[tokio::test]
async fn a_file_of_an_authority_is_judged_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate").expect("our folder");
    for file in [folder.path().join("none.pem"), empty] {
        let url = format!("smtps://mail.example?cacertfile={}", file.display()).parse().expect("a URL");
        let error = neuroglia_backing::mail::connect(&url).await.map(drop).expect_err("it cannot be used");
        assert_eq!(error.code(), "mail.ca");
        assert!(error.to_string().contains(".pem"), "{error}");
    }
}

#[tokio::test]
async fn content_that_is_refused_is_refused_for_good() {
    let server = Smtp::start();
    server.misbehave("ada@example.com", Misbehaviour::RefuseContent);
    let error = sent(&server.url()).await.expect_err("it is refused");
    assert_eq!(error.to_string(), "the mail server refuses the message for good (554 5.7.1)");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}
