//! A mail server in memory, for tests: what arrives can be read, and it refuses whom it is told to.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::address::EmailAddress;
use super::server::{MailServer, Message, refused};
use crate::error::{Error, Result};
use crate::health::Details;

/// Whether a refused message may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Every message, for good.
    Always,
    /// The next message, for now.
    Once,
}

/// Takes messages and keeps them.
#[derive(Debug, Default)]
pub struct MemoryMailServer {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    arrived: Vec<Message>,
    refusals: HashMap<EmailAddress, Refusal>,
}

impl MemoryMailServer {
    /// One that takes everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses what is to this address from now on.
    pub fn refuse(&self, to: EmailAddress, refusal: Refusal) {
        self.state().refusals.insert(to, refusal);
    }

    /// What has arrived, in order.
    pub fn arrived(&self) -> Vec<Message> {
        self.state().arrived.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl MailServer for MemoryMailServer {
    fn kind(&self) -> &'static str {
        "memory"
    }

    async fn deliver(&self, message: &Message) -> Result<()> {
        let mut state = self.state();
        match state.refusals.get(&message.to) {
            Some(Refusal::Always) => Err(refused("550")),
            Some(Refusal::Once) => {
                state.refusals.remove(&message.to);
                Err(Error::unavailable("the mail server refuses the message for now (451)"))
            }
            None => {
                state.arrived.push(message.clone());
                Ok(())
            }
        }
    }

    async fn check(&self) -> Result<Details> {
        Ok(Details::new())
    }
}
