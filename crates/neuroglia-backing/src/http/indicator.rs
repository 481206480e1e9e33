//! How an attached service says that it is well: any answer will do.

use async_trait::async_trait;
use neuroglia::error::Result;
use neuroglia::health::{Details, Indicator};

use super::ServiceClient;

/// The most of what a server says of itself that is shown.
const SERVER_CHARS_MAX: usize = 100;

/// Asks a service for the head of its root, beside the breaker: an answer of whatever kind below 500 proves that it is
/// there. Requests make sense without it.
#[derive(Debug)]
pub struct ServiceIndicator {
    client: ServiceClient,
}

impl ServiceIndicator {
    /// The indicator of this client's service.
    pub fn new(client: ServiceClient) -> Self {
        Self { client }
    }
}

#[async_trait]
impl Indicator for ServiceIndicator {
    fn name(&self) -> &str {
        self.client.name()
    }

    fn kind(&self) -> &str {
        "http"
    }

    fn required(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<Details> {
        let reply = self.client.knock().await?;
        let breaker = if self.client.is_open() { "open" } else { "closed" };
        let details = Details::new().with("breaker", breaker);
        Ok(match reply.header("server") {
            Some(server) => details.with("server", server.chars().take(SERVER_CHARS_MAX).collect::<String>()),
            None => details,
        })
    }
}
