//! One consumer's messages: pulled in batches, acknowledged one by one.
//!
//! The server gives what was in somebody's hands to the next one when its time is over, and newer messages before that.
//! So whoever begins waits until nothing is in others' hands; and because the server counts what it delivers, a number that
//! is missing tells of a message that was lost on the way here. Then this queue ends, and the next one waits again. What
//! comes again does so in the order in which its time was over, so that whoever holds one message holds all that are
//! here. In this way the order of messages is kept, through crashes and lost connections.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::jetstream::consumer::{Consumer, pull};
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{AckKind, Context, Message};
use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use neuroglia::error::{Error, Result};
use neuroglia::messaging::{Arrival, EventQueue, Outcome};
use tokio::time::{Instant, sleep_until, timeout};

/// How many messages are asked for at once: two batches, so that one is on its way while another is stored.
const PULL_MAX: usize = 200;

/// How long the server remembers that it was asked; shorter than a turn, so that nothing goes to who had the last one.
const PULL_EXPIRES: Duration = Duration::from_secs(5);

/// How long a dead letter may take to be kept.
const KEEP_TIMEOUT: Duration = Duration::from_secs(3);

/// How many characters of a reason go with a dead letter.
const REASON_CHARS_MAX: usize = 500;

pub(super) struct Queue {
    context: Context,
    consumer: Consumer<pull::Config>,
    dead_letters: String,
    /// When what others have in hand comes again; none before the server was asked.
    begins: Option<Instant>,
    /// How much of that is still to come.
    owed: usize,
    /// The number of the last delivery that came here; none before the first pull.
    last: Option<u64>,
    pull: Option<pull::Batch>,
    /// What was on its way here when that in hand was held.
    ahead: VecDeque<Message>,
    taken: Vec<Message>,
    is_finishing: bool,
}

impl Queue {
    pub(super) fn open(context: Context, consumer: Consumer<pull::Config>, dead_letters: String) -> Self {
        let (begins, owed, last, pull) = (None, 0, None, None);
        let (ahead, taken, is_finishing) = (VecDeque::new(), Vec::new(), false);
        Self { context, consumer, dead_letters, begins, owed, last, pull, ahead, taken, is_finishing }
    }

    /// Waits until what others had in hand would come again.
    async fn begin(&mut self) -> Result<()> {
        let begins = match self.begins {
            Some(begins) => begins,
            None => {
                let info = self.consumer.get_info().await.map_err(Error::unavailable)?;
                let wait = if info.num_ack_pending > 0 { info.config.ack_wait } else { Duration::ZERO };
                *self.begins.insert(Instant::now() + wait)
            }
        };
        sleep_until(begins).await;
        let info = self.consumer.get_info().await.map_err(Error::unavailable)?;
        (self.owed, self.last) = (info.num_ack_pending, Some(info.delivered.consumer_sequence));
        Ok(())
    }

    /// The next message that is on its way here, or none that is ready.
    fn ready(&mut self) -> Result<Option<Message>> {
        let Some(pull) = &mut self.pull else { return Ok(None) };
        match pull.next().now_or_never() {
            None => Ok(None),
            Some(Some(message)) => message.map(Some).map_err(Error::unavailable),
            Some(None) => {
                self.pull = None;
                Ok(None)
            }
        }
    }

    /// Notes that a message is here, which must be the next one in the server's count.
    fn note(&mut self, message: &Message) -> Result<()> {
        let info = message.info().map_err(Error::unavailable)?;
        let number = info.consumer_sequence;
        if self.last.is_some_and(|last| last + 1 != number) {
            return Err(Error::unavailable("messages were lost on their way; they come again"));
        }
        if self.owed > 0 && info.delivered <= 1 {
            return Err(Error::unavailable("somebody else has older messages in hand; they come again"));
        }
        self.owed = self.owed.saturating_sub(1);
        self.last = Some(number);
        Ok(())
    }

    /// Has the server keep what cannot be understood, with the reason.
    async fn bury(&self, message: &Message, reason: &str) -> Result<()> {
        let reason: String = reason.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect();
        let number = message.info().map_err(Error::unavailable)?.stream_sequence;
        let letter = PublishMessage::build()
            .payload(message.payload.clone())
            .message_id(format!("{}:{number}", self.dead_letters))
            .header("X-Reason", reason.as_str())
            .header("X-Subject", message.subject.as_str());
        let sent = self.context.send_publish(self.dead_letters.clone(), letter).await;
        let kept = async { sent?.await };
        match timeout(KEEP_TIMEOUT, kept).await.map_err(Error::unavailable)? {
            // With its headers it is just larger than the server takes, so it goes without them.
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                let bare = self.context.publish(self.dead_letters.clone(), message.payload.clone()).await;
                let kept = async { bare?.await };
                timeout(KEEP_TIMEOUT, kept)
                    .await
                    .map_err(Error::unavailable)?
                    .map(drop)
                    .map_err(Error::unavailable)
            }
            kept => kept.map(drop).map_err(Error::unavailable),
        }
    }
}

#[async_trait]
impl EventQueue for Queue {
    async fn take(&mut self, most: usize) -> Result<Vec<Arrival>> {
        if self.last.is_none() {
            self.begin().await?;
        }
        while self.taken.len() < most {
            if let Some(message) = self.ahead.pop_front() {
                self.taken.push(message);
                continue;
            }
            if let Some(message) = self.ready()? {
                self.note(&message)?;
                self.taken.push(message);
                continue;
            }
            if !self.taken.is_empty() || self.is_finishing {
                break;
            }
            if self.pull.is_none() {
                let asked = self.consumer.batch().max_messages(PULL_MAX);
                self.pull = Some(asked.expires(PULL_EXPIRES).messages().await.map_err(Error::unavailable)?);
            }
            if let Some(pull) = &mut self.pull {
                match pull.next().await {
                    Some(message) => {
                        let message = message.map_err(Error::unavailable)?;
                        self.note(&message)?;
                        self.taken.push(message);
                    }
                    None => self.pull = None,
                }
            }
        }
        Ok(self.taken.iter().map(|message| Arrival { body: message.payload.to_vec() }).collect())
    }

    async fn hold(&mut self) -> Result<()> {
        while let Some(message) = self.ready()? {
            self.note(&message)?;
            self.ahead.push_back(message);
        }
        for message in self.taken.iter().chain(&self.ahead) {
            message.ack_with(AckKind::Progress).await.map_err(Error::unavailable)?;
        }
        Ok(())
    }

    async fn settle(&mut self, outcomes: &[Outcome]) -> Result<()> {
        let taken = std::mem::take(&mut self.taken);
        for (message, outcome) in taken.iter().zip(outcomes) {
            if let Outcome::Dead(reason) = outcome {
                self.bury(message, reason).await?;
            }
        }
        for message in &taken {
            message.ack().await.map_err(Error::unavailable)?;
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<()> {
        self.is_finishing = true;
        self.context.client().flush().await.map_err(Error::unavailable)
    }
}
