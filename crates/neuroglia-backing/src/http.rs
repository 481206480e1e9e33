//! Calls to services that are attached by an HTTP URL: bounded, repeated only where that is safe, given up early.
//!
//! A [`ServiceClient`] is one target's client for the whole process. It knows where the service is and how to show who
//! is asking, and every call by it has the same bounds: to connect, for an attempt, for all attempts together, for the
//! size of an answer, and for how many calls run at once. What a service says is judged before it is decoded: see
//! [`Reply`] and [`ServiceError`].
//!
//! ```no_run
//! use neuroglia::clock::Clock;
//! use neuroglia::id::Ids;
//! use neuroglia::identity::Correlation;
//! use neuroglia_backing::http::{ServiceClient, ServiceError, ServiceOptions};
//!
//! #[derive(serde::Deserialize)]
//! struct Menu { items: Vec<Pizza> }
//!
//! #[derive(serde::Deserialize)]
//! struct Pizza { name: String }
//!
//! # async fn example(correlation: &Correlation) -> Result<(), ServiceError> {
//! let url = "https://pizzeria.example".parse().expect("a URL");
//! let pizzeria = ServiceClient::new(ServiceOptions::new("pizzeria", url), Clock::system(), Ids::random())?;
//! let menu: Menu = pizzeria.get(["api", "v1", "pizzas"]).within(correlation).send().await?.json()?;
//! # Ok(()) }
//! ```
//!
//! # Design notes
//! * **A repetition must be safe.** A method that changes nothing, or changes the same thing again, is repeated after
//!   a failure that may pass; `POST` and `PATCH` only with an idempotency key, or where the caller says so.
//! * **A repetition must not make things worse.** The pause is random up to a ceiling that doubles, `Retry-After` is
//!   kept to, and a budget lets a fifth of the calls be repeated: a service that is down gets a fifth more calls, and
//!   not three times as many.
//! * **A service that does not answer is left alone.** After five failures in a row the breaker opens: calls fail at
//!   once, and after five seconds one is let through to see. The breaker is one for all who call the target.
//! * **Redirects are errors.** A service has one address; following it elsewhere would carry the credentials there.
//! * The certificates that are trusted are Mozilla's list, compiled in, as the PostgreSQL engine has it: the same
//!   executable trusts the same authorities wherever it runs. A URL that names a file, `?cacertfile=/path/authority.pem`,
//!   has that authority trusted and no other.

pub(crate) mod authority;
mod breaker;
mod budget;
mod call;
mod client;
mod documents;
mod error;
mod indicator;
mod meter;
mod options;
mod reply;
pub(crate) mod retry_after;

pub use call::Call;
pub use client::ServiceClient;
pub use documents::HttpDocuments;
pub use error::ServiceError;
pub use indicator::ServiceIndicator;
pub use options::{ServiceOptions, check_url};
pub use reply::Reply;
pub use reqwest::{Method, StatusCode};
