//! What may be sent: a command changes something, a query does not.

use std::fmt;
use std::future::Future;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::di::{Inject, Scope};
use crate::error::{Error, Result};
use crate::identity::Identity;

/// A request to change something.
///
/// It is `Clone` so that the pipeline can run its handler again after a conflict, and its response can be kept,
/// so that a repeated request gets the first answer.
pub trait Command: Clone + Send + Sync + 'static {
    /// What the sender gets.
    type Response: Serialize + DeserializeOwned + Send + 'static;
    /// Who handles it.
    type Handler: CommandHandler<Self>;

    /// Whether its content can be accepted at all; [`Checks`](super::Checks) gathers what cannot.
    ///
    /// # Errors
    /// Every violation at once.
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    /// Whether the caller may send it. What depends on stored state is the handler's matter.
    ///
    /// # Errors
    /// `Unauthenticated` or `Forbidden`.
    fn authorise(&self, caller: &Identity) -> Result<()> {
        let _ = caller;
        Ok(())
    }
}

/// A question; answering it changes nothing.
pub trait Query: Sized + Send + Sync + 'static {
    /// What the sender gets.
    type Response: Send + 'static;
    /// Who handles it.
    type Handler: QueryHandler<Self>;

    /// Whether its content can be accepted at all; [`Checks`](super::Checks) gathers what cannot.
    ///
    /// # Errors
    /// Every violation at once.
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    /// Whether the caller may send it. What depends on stored state is the handler's matter.
    ///
    /// # Errors
    /// `Unauthenticated` or `Forbidden`.
    fn authorise(&self, caller: &Identity) -> Result<()> {
        let _ = caller;
        Ok(())
    }
}

/// Carries out a command.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle `{C}`",
    note = "write `impl CommandHandler<{C}> for {Self}`, or name another type as `type Handler` of `{C}`"
)]
pub trait CommandHandler<C: Command>: Inject {
    /// Carries it out. What it saves is committed after it has returned `Ok`.
    fn handle(&self, command: C) -> impl Future<Output = Result<C::Response>> + Send;
}

/// Answers a query.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle `{Q}`",
    note = "write `impl QueryHandler<{Q}> for {Self}`, or name another type as `type Handler` of `{Q}`"
)]
pub trait QueryHandler<Q: Query>: Inject {
    /// Answers it.
    fn handle(&self, query: Q) -> impl Future<Output = Result<Q::Response>> + Send;
}

/// Whether a message changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It does.
    Command,
    /// It does not.
    Query,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Command => "command",
            Self::Query => "query",
        })
    }
}

/// Tells a command's implementation of [`Message`] from a query's; it is always inferred.
#[derive(Debug)]
pub struct AsCommand;

/// Tells a query's implementation of [`Message`] from a command's; it is always inferred.
#[derive(Debug)]
pub struct AsQuery;

/// A command or a query: what the mediator sends. `As` is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    note = "implement `Command` for it when it changes something, or `Query` when it does not"
)]
pub trait Message<As>: Sized + Send + Sync + 'static {
    /// What the sender gets.
    type Response: Send + 'static;
    /// Who handles it.
    type Handler: Inject;
    /// Whether it changes something.
    const KIND: Kind;

    /// Has the handler, built from the scope, handle it.
    fn dispatch(self, scope: &Scope) -> impl Future<Output = Result<Self::Response>> + Send;

    /// See [`Command::validate`].
    ///
    /// # Errors
    /// Every violation at once.
    fn check(&self) -> Result<()>;

    /// See [`Command::authorise`].
    ///
    /// # Errors
    /// `Unauthenticated` or `Forbidden`.
    fn permit(&self, caller: &Identity) -> Result<()>;

    /// The same message once more, when it may be handled again.
    fn again(&self) -> Option<Self>;

    /// A response as JSON text, to be kept as the answer of an idempotency key.
    ///
    /// # Errors
    /// When the response is not kept: a query's.
    fn keep(response: &Self::Response) -> Result<String>;

    /// The response that was kept.
    ///
    /// # Errors
    /// When the text is not a response of this message.
    fn kept(text: &str) -> Result<Self::Response>;
}

impl<C: Command> Message<AsCommand> for C {
    type Response = C::Response;
    type Handler = C::Handler;
    const KIND: Kind = Kind::Command;

    async fn dispatch(self, scope: &Scope) -> Result<Self::Response> {
        C::Handler::inject(scope)?.handle(self).await
    }

    fn check(&self) -> Result<()> {
        self.validate()
    }

    fn permit(&self, caller: &Identity) -> Result<()> {
        self.authorise(caller)
    }

    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn keep(response: &Self::Response) -> Result<String> {
        serde_json::to_string(response).map_err(Error::internal)
    }

    fn kept(text: &str) -> Result<Self::Response> {
        serde_json::from_str(text).map_err(Error::internal)
    }
}

impl<Q: Query> Message<AsQuery> for Q {
    type Response = Q::Response;
    type Handler = Q::Handler;
    const KIND: Kind = Kind::Query;

    async fn dispatch(self, scope: &Scope) -> Result<Self::Response> {
        Q::Handler::inject(scope)?.handle(self).await
    }

    fn check(&self) -> Result<()> {
        self.validate()
    }

    fn permit(&self, caller: &Identity) -> Result<()> {
        self.authorise(caller)
    }

    fn again(&self) -> Option<Self> {
        None
    }

    fn keep(_: &Self::Response) -> Result<String> {
        Err(Error::internal("the answer of a query is not kept"))
    }

    fn kept(_: &str) -> Result<Self::Response> {
        Err(Error::internal("the answer of a query is not kept"))
    }
}
