//! The way from a path to what answers there.
//!
//! # Design notes
//! - **An action is found in one look-up.** axum's router would look it up as well, and put its path, its template and
//!   each decoded parameter into the request, in memory of their own, before anybody had asked for them. Here the
//!   request keeps where its parameters stand in its path, and [`Path`](super::Path) reads them when an action wants
//!   them. What a request costs beside raw axum is in `docs/benchmarks.md`.
//! - **The order of precedence is axum's**, whose matcher this is: what is written out comes before a parameter. A plain
//!   router does not tell what is in it, so beside one an action whose path has parameters is found by axum too.
//! - **Without layers of the application's there is no layer**: [`Web::layer`](super::Web::layer) puts one more router around
//!   all this, and whoever has none does not pay for it.
//! - Whatever is no action's is the router's: the host's own pages, plain routers, and what is nowhere.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::task::{self, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::ConnectInfo;
use axum::response::IntoResponse;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use neuroglia_core::error::Error;
use smallvec::SmallVec;

use super::context::Context;
use super::edge::{Arrival, Routed};
use super::problem::Problem;
use super::routes::{Endpoint, Route, Wrap, is_preflight};

/// What answers requests, by their paths.
pub struct Routing {
    map: Arc<Map>,
    /// The map within the application's layers, when it has any.
    layered: Option<axum::Router>,
}

/// What is where.
struct Map {
    /// None where the router answers although the path is known.
    actions: matchit::Router<Option<Arc<Station>>>,
    router: axum::Router,
}

/// What is at one path.
pub(super) struct Station {
    template: String,
    names: Vec<String>,
    context: Context,
    endpoints: Vec<(Method, Endpoint)>,
    /// The methods that are answered here, as axum lists them.
    allow: HeaderValue,
}

/// A station, and where in the request's path the values of its parameters stand.
pub(super) struct Matched {
    station: Arc<Station>,
    values: SmallVec<[Range<usize>; 2]>,
}

impl Routing {
    /// Actions, and a router for everything else. Paths are found in the router first when they are among these; they
    /// are written out.
    ///
    /// # Panics
    /// When two of the routes cannot stand beside each other, as [`Web::check`](super::Web) tells before.
    pub(super) fn new(
        routes: impl IntoIterator<Item = Route>,
        context: &Context,
        router: axum::Router,
        of_router: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        let mut stations: BTreeMap<String, Vec<(Method, Endpoint)>> = BTreeMap::new();
        for Route { method, path, endpoint, .. } in routes {
            stations.entry(path).or_default().push((method, endpoint));
        }
        let mut actions = matchit::Router::new();
        for path in of_router {
            actions.insert(path, None).expect("a path that is written out conflicts with none");
        }
        for (template, endpoints) in stations {
            let allow = allow(&endpoints);
            let (names, context) = (names(&template), context.clone());
            let station = Station { template: template.clone(), names, context, endpoints, allow };
            actions.insert(template, Some(Arc::new(station))).expect("the table of routes was checked");
        }
        Self { map: Arc::new(Map::new(actions, router)), layered: None }
    }

    /// These layers around all but the paths that are the router's, the last one outermost.
    pub(super) fn within(self, layers: &[Wrap]) -> Self {
        let inside = axum::Router::new().fallback_service(Inside(Arc::clone(&self.map)));
        let layered = layers.iter().fold(inside, |router, layer| layer(router)).with_state(());
        Self { layered: Some(layered), ..self }
    }

    /// Sends a request on its way.
    pub(super) fn call(
        &self,
        arrival: &Arrival,
        peer: Option<SocketAddr>,
        mut request: Request<Body>,
    ) -> Routed {
        let is_within = || !self.map.is_routers(request.uri().path()) && !is_preflight(&request);
        let Some(layered) = self.layered.as_ref().filter(|_| is_within()) else {
            return self.map.call(arrival, peer, request);
        };
        equip(&mut request, arrival, peer);
        Routed::Router(tower::Service::call(&mut layered.clone(), request))
    }
}

/// What is behind the layers.
#[derive(Clone)]
struct Inside(Arc<Map>);

impl tower::Service<Request<Body>> for Inside {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|&ConnectInfo(peer)| peer);
        let Some(arrival) = request.extensions().get::<Arrival>().cloned() else {
            // A layer has made another request of it.
            let lost = Error::internal("a layer of the application did not pass the request's extensions on");
            return ready(Ok(Problem::from(lost).into_response())).boxed();
        };
        self.0.call(&arrival, peer, request).answer().boxed()
    }
}

/// Gives a request what everybody on its way may know of it.
fn equip(request: &mut Request<Body>, arrival: &Arrival, peer: Option<SocketAddr>) {
    request.extensions_mut().insert(arrival.clone());
    if let Some(peer) = peer {
        request.extensions_mut().insert(ConnectInfo(peer));
    }
}

impl Map {
    fn new(actions: matchit::Router<Option<Arc<Station>>>, router: axum::Router) -> Self {
        // Routes are made ready once here, and not with each request.
        Self { actions, router: router.with_state(()) }
    }

    /// Whether the path is known and the router's.
    fn is_routers(&self, path: &str) -> bool {
        matches!(self.actions.at(path), Ok(matchit::Match { value: None, .. }))
    }

    fn call(&self, arrival: &Arrival, peer: Option<SocketAddr>, mut request: Request<Body>) -> Routed {
        let path = request.uri().path();
        let Ok(matchit::Match { value: Some(station), params }) = self.actions.at(path) else {
            equip(&mut request, arrival, peer);
            return Routed::Router(tower::Service::call(&mut self.router.clone(), request));
        };
        let Some(endpoint) = station.endpoint(request.method()) else {
            let mut refused = StatusCode::METHOD_NOT_ALLOWED.into_response();
            refused.headers_mut().insert(header::ALLOW, station.allow.clone());
            return Routed::Ready(refused);
        };
        let values = params.iter().map(|(_, value)| within(path, value)).collect();
        arrival.note_match(Matched { station: Arc::clone(station), values });
        request.extensions_mut().insert(arrival.clone());
        let is_head = *request.method() == Method::HEAD;
        let answer = endpoint(station.context.clone(), request);
        Routed::Action(if is_head { answer.map(|answer| answer.map(head_of)).boxed() } else { answer })
    }
}

impl From<axum::Router> for Routing {
    fn from(router: axum::Router) -> Self {
        Self { map: Arc::new(Map::new(matchit::Router::new(), router)), layered: None }
    }
}

impl fmt::Debug for Routing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routing").finish_non_exhaustive()
    }
}

impl Station {
    /// What answers the method; HEAD is a GET of which only the head is sent.
    fn endpoint(&self, method: &Method) -> Option<&Endpoint> {
        let of = |wanted: &Method| self.endpoints.iter().find(|(own, _)| own == wanted);
        let found = of(method).or_else(|| (*method == Method::HEAD).then(|| of(&Method::GET)).flatten());
        found.map(|(_, endpoint)| endpoint)
    }
}

impl Matched {
    /// The path with the names of its parameters.
    pub(super) fn template(&self) -> &str {
        &self.station.template
    }

    /// The parameters' values as they stand in this path, the request's, in their order.
    pub(super) fn values<'a>(&'a self, path: &'a str) -> impl ExactSizeIterator<Item = &'a str> {
        self.values.iter().map(move |value| path.get(value.clone()).unwrap_or_default())
    }

    /// The parameters' names, in the same order.
    pub(super) fn names(&self) -> &[String] {
        &self.station.names
    }
}

/// The names of a template's parameters.
fn names(template: &str) -> Vec<String> {
    let name =
        |part: &str| Some(part.strip_prefix('{')?.strip_suffix('}')?.trim_start_matches('*').to_owned());
    template.split('/').filter_map(name).collect()
}

/// Where a part of a text stands in it.
fn within(text: &str, part: &str) -> Range<usize> {
    let begin = part.as_ptr().addr() - text.as_ptr().addr();
    begin..begin + part.len()
}

/// The methods in axum's words.
fn allow(endpoints: &[(Method, Endpoint)]) -> HeaderValue {
    let methods = endpoints.iter().map(|(method, _)| match method.as_str() {
        "GET" => "GET,HEAD",
        other => other,
    });
    let text = methods.collect::<Vec<_>>().join(",");
    HeaderValue::try_from(text).expect("methods are a header value")
}

/// The answer to HEAD: all that GET would say before the body.
fn head_of(mut response: Response<Body>) -> Response<Body> {
    if let Some(length) = response.body().size_hint().exact() {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert_with(|| length.into());
    }
    *response.body_mut() = Body::empty();
    response
}

#[cfg(test)]
mod tests {
    use axum::extract::FromRequestParts;
    use axum::routing::get;
    use http::request::Parts;
    use http_body_util::BodyExt;
    use neuroglia_core::clock::Clock;
    use neuroglia_core::di::{Scope, ServiceCollection};
    use neuroglia_core::id::Ids;
    use tower::ServiceExt;

    use super::*;
    use crate::web::{Edge, EdgeSettings, Path, Policy, Problem, Web};

    /// An action that tells its template and its parameters.
    fn telling(method: Method, path: &'static str) -> Route {
        let endpoint = move |_: Scope, mut parts: Box<Parts>, _: Body| async move {
            let told: Result<Path<Vec<String>>, Problem> = Path::from_request_parts(&mut parts, &()).await;
            told.map_or_else(Problem::into_response, |Path(told)| {
                format!("{path} {}", told.join("+")).into_response()
            })
        };
        Route::new(method, path, "Test::action", Policy::Public, |_| {}, endpoint)
    }

    async fn edge(web: Web, router: axum::Router) -> Edge {
        let services = ServiceCollection::new().build().expect("nothing is missing");
        let services = services.start().await.expect("there is nothing to start");
        let routing = web.into_routing(&Context::new(services, None, None), router, true);
        Edge::new(routing, EdgeSettings::default(), &Ids::random(), &Clock::system())
    }

    async fn ask(edge: &Edge, method: &str, path: &str) -> (u16, Option<String>, String) {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
        let (head, body) = edge.clone().oneshot(request).await.expect("infallible").into_parts();
        let header = |name| head.headers.get(name).map(|value| value.to_str().expect("text").to_owned());
        let told = header(header::ALLOW).or_else(|| header(header::CONTENT_LENGTH));
        let body = body.collect().await.expect("a body").to_bytes();
        (head.status.as_u16(), told, String::from_utf8_lossy(&body).into_owned())
    }

    fn web() -> Web {
        let paths = ["/", "/{page}", "/pizzas/new", "/pizzas/{id}", "/pizzas/{id}/v/{n}", "/files/{*path}"];
        let web = paths.into_iter().fold(Web::new(), |web, path| web.route(telling(Method::GET, path)));
        web.route(telling(Method::PUT, "/pizzas/{id}"))
    }

    #[tokio::test]
    async fn the_most_precise_path_answers_and_its_parameters_are_decoded() {
        let health = axum::Router::new().route("/health", get(async || "well"));
        let plain = axum::Router::new().route("/pizzas/special", get(async || "plain"));
        let alone = edge(web(), health.clone()).await;
        let beside = edge(web().plain("", Policy::Public, plain), health).await;
        for (path, expected) in [
            ("/", "/ "),
            ("/about", "/{page} about"),
            ("/health", "well"),
            ("/pizzas/new", "/pizzas/new "),
            ("/pizzas/quattro%20stagioni", "/pizzas/{id} quattro stagioni"),
            ("/pizzas/a+b%2Fc?d=e", "/pizzas/{id} a+b/c"),
            ("/pizzas/7/v/12", "/pizzas/{id}/v/{n} 7+12"),
            ("/files/a/b%20c", "/files/{*path} a/b c"),
        ] {
            for edge in [&alone, &beside] {
                assert_eq!(ask(edge, "GET", path).await.2, expected, "{path}");
            }
        }
        assert_eq!(ask(&alone, "GET", "/pizzas/special").await.2, "/pizzas/{id} special");
        assert_eq!(ask(&beside, "GET", "/pizzas/special").await.2, "plain");
        for edge in [&alone, &beside] {
            for (path, status) in [("/pizzas/%ff", 400), ("/pizzas/", 404), ("/a/b/c", 404)] {
                assert_eq!(ask(edge, "GET", path).await.0, status, "{path}");
            }
        }
    }

    #[tokio::test]
    async fn a_route_without_a_controller_has_its_policy_kept() {
        for (policy, status) in [(Policy::Public, 200), (Policy::roles(["chef"]), 401)] {
            let endpoint = |_, _, _| async { "340".into_response() };
            let route = Route::new(Method::GET, "/oven", "Oven::temperature", policy, |_| {}, endpoint);
            let edge = edge(Web::new().route(route), axum::Router::new()).await;
            assert_eq!(ask(&edge, "GET", "/oven").await.0, status);
        }
    }

    #[tokio::test]
    async fn a_preflight_passes_the_guard_of_a_plain_router_and_nothing_else_does() {
        let ovens = axum::Router::new().route("/ovens", get(async || "two").delete(async || "none"));
        let services = ServiceCollection::new().build().expect("nothing is missing");
        let services = services.start().await.expect("there is nothing to start");
        let web = Web::new().plain("/staff", Policy::roles(["chef"]), ovens);
        let routing = web.into_routing(&Context::new(services, None, None), axum::Router::new(), false);
        let allowed_origins = vec!["https://shop.example".parse().expect("an origin")];
        let settings = EdgeSettings { allowed_origins, ..EdgeSettings::default() };
        let edge = Edge::new(routing, settings, &Ids::random(), &Clock::system());
        let ask = async |method: &str, headers: &[(&str, &str)]| {
            let request = Request::builder().method(method).uri("/staff/ovens");
            let request =
                headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            let request = request.body(Body::empty()).expect("a request");
            edge.clone().oneshot(request).await.expect("infallible")
        };
        let preflight = [("origin", "https://shop.example"), ("access-control-request-method", "DELETE")];
        let allowed = ask("OPTIONS", &preflight).await;
        assert_eq!(allowed.status(), 204);
        assert_eq!(allowed.headers()["access-control-allow-origin"], "https://shop.example");
        assert_eq!(allowed.headers()["access-control-allow-methods"], "GET,HEAD,DELETE");
        for (method, headers) in [("OPTIONS", &preflight[..1]), ("DELETE", &preflight), ("GET", &[])] {
            assert_eq!(ask(method, headers).await.status(), 401, "{method}");
        }
    }

    #[tokio::test]
    async fn other_methods_are_refused_with_those_that_are_not() {
        let alone = edge(web(), axum::Router::new()).await;
        let plain = axum::Router::new().route("/x", get(async || ""));
        let beside = edge(web().plain("/plain", Policy::Public, plain), axum::Router::new()).await;
        for edge in [&alone, &beside] {
            let (status, told, _) = ask(edge, "DELETE", "/pizzas/7").await;
            assert_eq!((status, told.as_deref()), (405, Some("GET,HEAD,PUT")));
            let (status, told, _) = ask(edge, "OPTIONS", "/pizzas/7").await;
            assert_eq!((status, told.as_deref()), (204, Some("GET,HEAD,PUT,OPTIONS")));
            let (status, told, body) = ask(edge, "HEAD", "/pizzas/7").await;
            assert_eq!((status, told.as_deref(), body.as_str()), (200, Some("14"), ""));
            assert_eq!(ask(edge, "HEAD", "/pizzas/new").await.0, 200);
        }
    }
}
