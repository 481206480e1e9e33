//! The conformance suite of mail is worth something only if it finds what is wrong: adapters with one defect each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use neuroglia::error::{Error, Result};
use neuroglia::health::Details;
use neuroglia::mail::{EmailAddress, MailServer, Message, MessageId, REFUSED, Refusal, Subject};
use neuroglia_testing::conformance::mail::{Arrived, Bench, InMemory, broken, run};

/// What is wrong with the adapter.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Defect {
    LosesHtml,
    LosesText,
    StuffsPoints,
    MakesAnIdOfEachAttempt,
    SendsToTheFirstReader,
    SendsOnceAnId,
    SendsTwice,
    LosesWhatComesAtOnce,
    GivesUpTooEarly,
    NeverGivesUp,
    SaysThatItWasTaken,
    StumblesAfterARefusal,
    NamesTheReader,
    SendsAMailToAsk,
    CutsTheSubject,
}

struct Broken {
    inner: InMemory,
    defect: Defect,
    count: AtomicU32,
}

struct Found(Arc<Broken>);

#[async_trait]
impl Bench for Found {
    fn server(&self) -> Arc<dyn MailServer> {
        Arc::clone(&self.0) as _
    }

    async fn refuse(&self, to: &EmailAddress, refusal: Refusal) {
        self.0.inner.refuse(to, refusal).await;
    }

    async fn arrived(&self) -> Vec<Arrived> {
        self.0.inner.arrived().await
    }
}

#[async_trait]
impl MailServer for Broken {
    fn kind(&self) -> &'static str {
        "broken"
    }

    async fn deliver(&self, message: &Message) -> Result<()> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let mut message = message.clone();
        match self.defect {
            Defect::LosesHtml => message.html = None,
            Defect::LosesText if message.html.is_some() => message.text.clear(),
            Defect::StuffsPoints => message.text = message.text.replace("\n.", "\n.."),
            Defect::MakesAnIdOfEachAttempt => {
                let key = format!("attempt-{number}").parse().expect("a key");
                message.message_id = MessageId::new(&key, &message.from);
            }
            Defect::SendsToTheFirstReader => message.to = "ada@example.com".parse().expect("an address"),
            Defect::SendsOnceAnId => {
                let arrived = self.inner.arrived().await;
                if arrived.iter().any(|one| one.headers("Message-ID") == [message.message_id.as_str()]) {
                    return Ok(());
                }
            }
            Defect::SendsTwice => self.inner.server().deliver(&message).await?,
            Defect::LosesWhatComesAtOnce if number > 30 => return Ok(()),
            Defect::CutsTheSubject => {
                let short: String = message.subject.as_str().chars().take(60).collect();
                message.subject = Subject::from(short);
            }
            _ => (),
        }
        let outcome = self.inner.server().deliver(&message).await;
        match (self.defect, outcome) {
            (Defect::GivesUpTooEarly, Err(_)) => Err(Error::invalid(REFUSED, "never")),
            (Defect::NeverGivesUp, Err(_)) => Err(Error::unavailable("not now")),
            (Defect::SaysThatItWasTaken, Err(_)) => Ok(()),
            (Defect::StumblesAfterARefusal, Err(error)) => {
                self.inner.refuse(&"ada@example.com".parse().expect("an address"), Refusal::Once).await;
                Err(error)
            }
            (Defect::NamesTheReader, Err(error)) => Err(error.with_source(format!("to {}", message.to))),
            (_, outcome) => outcome,
        }
    }

    async fn check(&self) -> Result<Details> {
        if self.defect == Defect::SendsAMailToAsk {
            let from: EmailAddress = "mario@pizza.example".parse().expect("an address");
            let key = "check".parse().expect("a key");
            self.deliver(&Message {
                message_id: MessageId::new(&key, &from),
                to: from.clone(),
                from,
                subject: Subject::from("are you there"),
                text: String::new(),
                html: None,
                written_at: neuroglia::clock::Timestamp::UNIX_EPOCH,
            })
            .await?;
        }
        Ok(Details::new())
    }
}

#[tokio::test]
async fn the_memory_server_keeps_every_rule() {
    run(async || InMemory::default()).await;
}

#[tokio::test]
async fn every_defect_is_found_by_its_rule() {
    let table = [
        (Defect::LosesHtml, "a_message_arrives_as_it_was_written"),
        (Defect::LosesText, "a_message_arrives_as_it_was_written"),
        (Defect::StuffsPoints, "every_line_arrives_as_it_was_written"),
        (Defect::MakesAnIdOfEachAttempt, "a_repeated_message_is_recognised"),
        (Defect::SendsToTheFirstReader, "a_message_reaches_its_reader_and_nobody_else"),
        (Defect::SendsOnceAnId, "a_repeated_message_is_recognised"),
        (Defect::SendsTwice, "many_messages_at_once_arrive_once_each"),
        (Defect::LosesWhatComesAtOnce, "many_messages_at_once_arrive_once_each"),
        (Defect::GivesUpTooEarly, "what_is_refused_for_now_is_tried_again"),
        (Defect::NeverGivesUp, "what_is_refused_for_good_is_not_tried_again"),
        (Defect::SaysThatItWasTaken, "what_is_refused_for_good_is_not_tried_again"),
        (Defect::StumblesAfterARefusal, "what_is_refused_stands_in_no_ones_way"),
        (Defect::NamesTheReader, "a_refusal_names_nobody"),
        (Defect::SendsAMailToAsk, "a_server_that_is_there_says_so"),
        (Defect::CutsTheSubject, "a_message_arrives_as_it_was_written"),
    ];
    for (defect, expected) in table {
        let make = async || {
            Found(Arc::new(Broken { inner: InMemory::default(), defect, count: AtomicU32::default() }))
        };
        let broken: Vec<_> = broken(make).await.into_iter().map(|(rule, _)| rule.name).collect();
        assert!(broken.contains(&expected), "{defect:?} breaks {broken:?}");
    }
}
