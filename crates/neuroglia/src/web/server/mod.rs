//! The HTTP server under the router: one accept loop, every limit, and an end that loses nothing.
//!
//! axum's own `serve` accepts forever, trusts its clients, and can only be stopped all at once. A
//! process that is replaced several times a day needs more: a drain in three steps, a bound on
//! everything a stranger may hold, and an answer in the same format for every refusal. So this
//! module owns the sockets and drives hyper itself; what lies above it is an [`Application`], such as
//! an ordinary [`axum::Router`].
//!
//! ```no_run
//! # use neuroglia::web::server::{Drain, Limits, Server};
//! # async fn run() -> std::io::Result<()> {
//! let server = Server::bind("127.0.0.1:0".parse().expect("a socket address"), Limits::default())?;
//! tracing::info!(address = %server.local_addr(), "listening");
//!
//! let drain = Drain::new();
//! let drained = server.serve(axum::Router::new(), drain.clone()).await;
//! assert!(drained.is_clean());
//! # Ok(())
//! # }
//! ```
//!
//! # Who does what
//! - `serve`: [`Server`], the accept loop's owner, walks through the three moments of a [`Drain`].
//! - `accept`: takes connections, survives a full file table, empties the backlog at the end.
//! - `connection`: drives one connection; `watch` is its only clock.
//! - `front`: the service that hyper calls; judges the head, then asks the [`Application`].
//! - `flight`: what these parts tell each other, and the requests in flight.
//! - `body`: bodies that count: size and speed on the way in, the end on the way out.
//! - `io`: the socket as hyper sees it; turns hyper's bare refusals into documents.
//!
//! # Design notes
//! - **No timer for a request that does not wait.** A connection has one timer that is moved only
//!   when a deadline comes nearer. A request or a body gets its own only once it is pending.
//! - **No shared lock on the way of a request.** What hyper, the socket and the clock tell each
//!   other lies in a few relaxed atomics of the connection.
//! - **hyper parses.** Its parser is stricter than our limits need; we set its own limits a little
//!   wider than ours, so that most refusals are made here, and recognise those that it still makes.
//!   One answer stays bare: h2 refuses a header list of more than twice our limit, which it has announced
//!   to the client, with a 431 of its own.
//! - **The client address costs an extension.** It is the one thing that axum's own server would not
//!   do for each request; it is needed by nearly everything above.
//! - **Upgrades (WebSocket) are not offered**: a connection that leaves HTTP could not be drained.

mod accept;
mod application;
mod body;
mod connection;
mod drain;
mod flight;
mod front;
mod io;
mod limits;
mod refusal;
mod serve;
mod watch;

pub use application::{Answering, Application};
pub use body::{BodyFault, BodyLimit};
pub use drain::{Abandoned, Drain, Drained};
pub use limits::Limits;
pub use refusal::{IDEMPOTENCY_KEY, Refusal};
pub use serve::Server;
