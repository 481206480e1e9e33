//! An application under test, entered by its users' door: real sockets, real HTTP.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use neuroglia::data::Store;
use neuroglia::error::Result;
use neuroglia::mediation::{Mediator, Message};
use neuroglia::settings::{Environment, Settings};
use neuroglia::work::{WorkClass, WorkFilter, WorkState};
use neuroglia::{App, Running};
use serde_json::Value;
use tokio::time::timeout;

/// How long a test waits for the next part of an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a test waits for workers: longer than what fails a few times takes on a busy machine, pauses included.
const WORK_PATIENCE: Duration = Duration::from_secs(120);

/// An application that runs within the test, on a free port of the loopback interface.
///
/// It is built by the same function as `main`'s. The environment is what the test gives and nothing else.
///
/// ```no_run
/// # async fn test(app: neuroglia::App<()>) {
/// use neuroglia_testing::TestApp;
///
/// let shop = TestApp::start(app, [("DATABASE_URL", "memory:")]).await;
/// shop.get("/health/ready").send().await.assert_status(200);
/// shop.stop().await;
/// # }
/// ```
pub struct TestApp {
    running: Running,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl TestApp {
    /// Starts the application with these variables; port and host are chosen unless they are given.
    ///
    /// # Panics
    /// When the application does not start, with its whole report.
    pub async fn start<S: Settings + Send + Sync>(
        app: App<S>,
        variables: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Self {
        let environment = environment(variables);
        match app.start(&environment).await {
            Ok(running) => {
                Self { running, client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()) }
            }
            Err(error) => panic!("the application did not start:\n{error}"),
        }
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// The running application, to look behind the scenes.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Sends a message in a scope of its own, as nobody in particular: what a test does behind the scenes.
    ///
    /// # Errors
    /// Those of the message's handler.
    pub async fn send<As, M: Message<As>>(&self, message: M) -> Result<M::Response> {
        let scope = self.running.services().scope();
        let outcome = scope.inject::<Mediator>()?.send(message).await;
        scope.close().await;
        outcome
    }

    /// Waits until every event has been sent and every consumer has done with it, whichever process it is in. A consumer that
    /// failed for good is done as well.
    ///
    /// The store is asked, so events are followed to their end where it carries them (`EVENT_BUS_URL=local:`), and otherwise to
    /// the broker: a test with a broker waits for what its consumers do.
    ///
    /// # Panics
    /// When the application has no store, and after two minutes, with what is left.
    pub async fn settled(&self) {
        self.has_no_more_of(Some(WorkClass::Delivery)).await;
    }

    /// Waits until that is so and every job is done, also one that is to be done later.
    ///
    /// # Panics
    /// As [`settled`](Self::settled).
    pub async fn worked_off(&self) {
        self.has_no_more_of(None).await;
    }

    async fn has_no_more_of(&self, class: Option<WorkClass>) {
        let store: Arc<dyn Store> =
            self.running.services().get().expect("who waits for work has a store, which keeps it");
        let live = WorkFilter {
            class,
            states: vec![WorkState::Waiting, WorkState::Scheduled, WorkState::Running],
            limit: 10,
            ..WorkFilter::default()
        };
        let left = async || {
            let unsent = store.outbox_depth().await.expect("the store answers").count;
            let work = store.list_work(&live).await.expect("the store answers");
            (unsent > 0 || !work.is_empty()).then_some((unsent, work))
        };
        let wait = async {
            let mut pulse = tokio::time::interval(Duration::from_millis(5));
            // Twice: between the two questions a piece of work may end and write to the outbox.
            while left().await.is_some() || left().await.is_some() {
                pulse.tick().await;
            }
        };
        if timeout(WORK_PATIENCE, wait).await.is_err() {
            panic!("the application is not done: events to send, and work: {:#?}", left().await);
        }
    }

    /// A GET request.
    pub fn get(&self, path: &str) -> TestRequest<'_> {
        self.request(Method::GET, path)
    }

    /// A POST request.
    pub fn post(&self, path: &str) -> TestRequest<'_> {
        self.request(Method::POST, path)
    }

    /// A PUT request.
    pub fn put(&self, path: &str) -> TestRequest<'_> {
        self.request(Method::PUT, path)
    }

    /// A DELETE request.
    pub fn delete(&self, path: &str) -> TestRequest<'_> {
        self.request(Method::DELETE, path)
    }

    /// A GET request to the surface for operators.
    ///
    /// # Panics
    /// When there is none, because `ADMIN_PORT` is not set.
    #[track_caller]
    pub fn get_admin(&self, path: &str) -> TestRequest<'_> {
        let address = self.running.admin_address().expect("ADMIN_PORT is set");
        self.request_to(address, Method::GET, path)
    }

    /// A request.
    pub fn request(&self, method: Method, path: &str) -> TestRequest<'_> {
        self.request_to(self.running.address(), method, path)
    }

    fn request_to(&self, address: SocketAddr, method: Method, path: &str) -> TestRequest<'_> {
        let uri = format!("http://{address}{path}");
        TestRequest {
            app: self,
            request: http::Request::builder().method(method).uri(uri),
            body: Bytes::new(),
        }
    }

    /// Ends the application as a signal would.
    ///
    /// # Panics
    /// When work was left undone.
    pub async fn stop(self) {
        let Self { running, client } = self;
        // A client that keeps its connections would be given the time to send one more request.
        drop(client);
        assert!(running.stop().await, "the application left work undone");
    }
}

/// The variables of a test, with a free port and the loopback interface unless they say otherwise.
pub fn environment(
    variables: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
) -> Environment {
    let mut pairs =
        vec![("PORT".to_owned(), "0".to_owned()), ("SERVER_HOST".to_owned(), "127.0.0.1".to_owned())];
    for (name, value) in variables {
        let (name, value) = (name.into(), value.into());
        pairs.retain(|(other, _)| *other != name);
        pairs.push((name, value));
    }
    Environment::from_pairs(pairs)
}

impl fmt::Debug for TestApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TestApp").field(&self.running).finish()
    }
}

/// A request that is being put together.
#[must_use = "a request does nothing until it is sent"]
pub struct TestRequest<'a> {
    app: &'a TestApp,
    request: http::request::Builder,
    body: Bytes,
}

impl TestRequest<'_> {
    /// With a header.
    pub fn header(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.request = self.request.header(name, value.as_ref());
        self
    }

    /// With a bearer token.
    pub fn bearer(self, token: impl AsRef<str>) -> Self {
        let value = format!("Bearer {}", token.as_ref());
        self.header("authorization", value)
    }

    /// With a JSON body.
    pub fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into();
        self.header("content-type", "application/json")
    }

    /// With this body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it and reads the whole answer.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(self) -> TestResponse {
        self.open().await.whole().await
    }

    /// Sends it and gives the answer as it comes, such as an event stream.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn open(self) -> TestStream {
        let request = self.request.body(Full::new(self.body)).expect("a well-formed request");
        let about = format!("{} {}", request.method(), request.uri().path());
        let response = match self.app.client.request(request).await {
            Ok(response) => response,
            Err(problem) => panic!("{about}: no answer: {problem:?}"),
        };
        let (parts, body) = response.into_parts();
        let head = TestResponse { about, status: parts.status, headers: parts.headers, body: Bytes::new() };
        TestStream { head, body: body.map_err(Into::into).boxed_unsync() }
    }
}

impl fmt::Debug for TestRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.request.fmt(f)
    }
}

/// An answer that is still coming; the connection ends when it is dropped.
pub struct TestStream {
    head: TestResponse,
    body: UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>,
}

impl TestStream {
    /// What has come of the answer.
    pub fn head(&self) -> &TestResponse {
        &self.head
    }

    /// Reads on until the text is as wanted, or the answer ends; gives whether it is.
    ///
    /// # Panics
    /// When nothing comes for too long, or the answer breaks off.
    pub async fn read_until(&mut self, wanted: impl Fn(&str) -> bool) -> bool {
        while !wanted(&self.head.text()) {
            let Ok(frame) = timeout(PATIENCE, self.body.frame()).await else {
                panic!("{}: nothing comes after: {}", self.head.about, self.head.text());
            };
            match frame {
                Some(Ok(frame)) => {
                    let more = frame.into_data().unwrap_or_default();
                    self.head.body = [&self.head.body[..], &more].concat().into();
                }
                Some(Err(problem)) => panic!("{}: the answer broke off: {problem}", self.head.about),
                None => return false,
            }
        }
        true
    }

    /// Reads the answer to its end.
    ///
    /// # Panics
    /// When it breaks off.
    pub async fn whole(mut self) -> TestResponse {
        match self.body.collect().await {
            Ok(rest) => self.head.body = [&self.head.body[..], &rest.to_bytes()].concat().into(),
            Err(problem) => panic!("{}: the answer broke off: {problem}", self.head.about),
        }
        self.head
    }
}

impl fmt::Debug for TestStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head.fmt(f)
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct TestResponse {
    about: String,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl TestResponse {
    /// The answer itself, when it has this status.
    ///
    /// # Panics
    /// When it has another; the message shows the body.
    #[track_caller]
    pub fn assert_status(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}: {}", self.about, self.text());
        self
    }

    /// The problem document, after a look at everything that each of them must have.
    ///
    /// # Panics
    /// When the answer is no problem with this status and this code; the message shows the body.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let about = format!("{}: {} {}", self.about, self.status, self.text());
        assert_eq!(self.status.as_u16(), status, "{about}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{about}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{about}");
        assert_eq!(problem["code"], code, "{about}");
        for member in ["type", "title", "detail", "instance"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member} of {about}");
        }
        let trace = self.header("traceparent").and_then(|parent| parent.get(3..35));
        assert!(trace.is_some() && problem["trace_id"].as_str() == trace, "trace_id of {about}");
        problem
    }

    /// Where the problem's violations are and by which rule, in their order: `/lines/0/quantity range`.
    ///
    /// # Panics
    /// When the body is not JSON.
    #[track_caller]
    pub fn violations(&self) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let problem = self.json();
        let errors = problem["errors"].as_array().map_or(&[][..], Vec::as_slice);
        errors.iter().map(|error| format!("{} {}", text(&error["pointer"]), text(&error["code"]))).collect()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(problem) => panic!("{}: not JSON ({problem}): {}", self.about, self.text()),
        }
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value, when it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
