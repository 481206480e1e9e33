//! The table of an application's routes, and the check of it at boot.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{self, Poll};

use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::MethodFilter;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, ready};
use http::request::Parts;
use http::{Method, Request, Response, header};
use neuroglia_core::di::{Inject, Scope, ServiceCollection};
use neuroglia_core::fault::{Area, Fault, Faults};
use serde::Serialize;

use super::context::Context;
use super::docs;
use super::edge::Arrival;
use super::openapi::Operation;
use super::policy::Policy;
use super::reply::{NoContent, Reply};
use super::routing::Routing;
use crate::health::{PROBES, is_probe};

/// Something with actions that answer requests; `#[controller]` writes the implementation.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a controller",
    note = "put `#[controller(\"/path\")]` on an `impl` block of it"
)]
pub trait Controller: Inject {
    /// Its routes, in the order of its actions.
    fn routes() -> Vec<Route>;

    /// Declares what its actions take by [`Injected`](super::Injected), so that it is checked at boot.
    fn declare(services: &mut ServiceCollection) {
        let _ = services;
    }
}

/// What answers requests to a route.
pub(super) type Endpoint = Arc<dyn Fn(Context, Request<Body>) -> Answering + Send + Sync>;
type Answering = BoxFuture<'static, Result<Response<Body>, Infallible>>;

/// One method on one path, who may call it, and what answers.
#[derive(Clone)]
pub struct Route {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) policy: Arc<Policy>,
    pub(super) action: &'static str,
    pub(super) describe: fn(&mut Operation<'_>),
    pub(super) endpoint: Endpoint,
}

impl Route {
    /// A route. What `#[controller]` expands to calls it; an application writes it for a route without one.
    ///
    /// `action` names it in `describe` and as the operation's id. The endpoint runs in a scope of its own, once the policy
    /// admits who is asking.
    ///
    /// ```
    /// use neuroglia::web::axum::response::IntoResponse;
    /// use neuroglia::web::http::Method;
    /// use neuroglia::web::{Policy, Route};
    ///
    /// let route = Route::new(
    ///     Method::GET,
    ///     "/oven/temperature",
    ///     "Oven::temperature",
    ///     Policy::roles(["chef"]),
    ///     |operation| operation.documented("Tell how hot the oven is."),
    ///     |_scope, _parts, _body| async { "340".into_response() },
    /// );
    /// ```
    pub fn new<F, O>(
        method: Method,
        path: impl Into<String>,
        action: &'static str,
        policy: Policy,
        describe: fn(&mut Operation<'_>),
        endpoint: F,
    ) -> Self
    where
        F: Fn(Scope, Box<Parts>, Body) -> O + Clone + Send + Sync + 'static,
        O: Future<Output = Response<Body>> + Send + 'static,
    {
        let policy = Arc::new(policy);
        let guard = Arc::clone(&policy);
        let endpoint: Endpoint = Arc::new(move |context, request| {
            context.enter(Arc::clone(&guard), request, endpoint.clone()).map(Ok).boxed()
        });
        Self { method, path: path.into(), policy, action, describe, endpoint }
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} → {} ({})", self.method, self.path, self.action, self.policy)
    }
}

/// What `describe` tells of a route.
#[derive(Debug, Clone, Serialize)]
pub struct RouteDescription {
    /// The method.
    pub method: String,
    /// The path's template.
    pub path: String,
    /// The controller and action.
    pub action: String,
    /// Who may call it.
    pub policy: String,
}

/// The web part of an application: its routes.
///
/// ```
/// use neuroglia::web::Web;
///
/// fn controllers(web: Web) -> Web {
///     web
/// }
/// ```
#[derive(Default)]
pub struct Web {
    routes: Vec<Route>,
    plain: Vec<Plain>,
    layers: Vec<Wrap>,
    entries: Vec<fn(&mut ServiceCollection)>,
    session_cookies: bool,
}

/// Puts a layer around a router.
pub(super) type Wrap = Box<dyn Fn(axum::Router) -> axum::Router + Send + Sync>;

struct Plain {
    prefix: String,
    policy: Policy,
    router: axum::Router,
}

impl Web {
    /// No routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a controller's routes.
    #[must_use]
    pub fn controller<C: Controller>(mut self) -> Self {
        self.routes.extend(C::routes());
        self.entries.push(|services| {
            services.enter::<C>();
            C::declare(services);
        });
        self
    }

    /// Says that callers may come with the cookie of a session, as [`SessionCookies`](crate::auth::SessionCookies) make it;
    /// for the API's documentation.
    #[must_use]
    pub fn session_cookies(self) -> Self {
        Self { session_cookies: true, ..self }
    }

    pub(crate) fn takes_session_cookies(&self) -> bool {
        self.session_cookies
    }

    /// Adds one route.
    #[must_use]
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// Adds a plain axum router under a prefix, with one policy for all of it. Its handlers take what they need
    /// by [`Injected`](super::Injected); tower layers stay with it. At `/` the policy also holds for what is nowhere.
    ///
    /// Its paths must not overlap other routes, nor the host's `/health…`, `/docs…` and `/openapi.json`: that is
    /// found at boot. What those handlers need is not: axum does not list it, so it fails when it is asked for.
    #[must_use]
    pub fn plain(mut self, prefix: impl Into<String>, policy: Policy, router: axum::Router) -> Self {
        self.plain.push(Plain { prefix: prefix.into(), policy, router });
        self
    }

    /// Puts a tower layer around all that the application answers: controllers, plain routers, and what is nowhere. It
    /// is inside the edge, so that limits, request ids, the log and the form of problems hold for its answers too; the
    /// host's own `/health…`, `/docs…` and `/openapi.json` are outside of it, and so is a browser's preflight, which comes
    /// without credentials. The last one given sees a request first.
    ///
    /// It costs each request a few allocations, and sees no identity and no route, which are found out behind it; what is for
    /// some paths only stays with a router of theirs ([`Web::plain`]).
    ///
    /// ```
    /// use axum::extract::Request;
    /// use axum::middleware::{Next, from_fn};
    /// use axum::response::{IntoResponse, Response};
    /// use http::{HeaderValue, StatusCode};
    /// use neuroglia::web::{Web, axum, http};
    ///
    /// fn web(web: Web) -> Web {
    ///     web.layer(from_fn(with_region))
    /// }
    ///
    /// /// Tells which region answers, and only callers that mean it.
    /// async fn with_region(request: Request, next: Next) -> Response {
    ///     if request.headers().get("x-region").is_some_and(|region| region != "eu-1") {
    ///         return StatusCode::MISDIRECTED_REQUEST.into_response();
    ///     }
    ///     let mut response = next.run(request).await;
    ///     response.headers_mut().insert("x-region", HeaderValue::from_static("eu-1"));
    ///     response
    /// }
    /// # let _ = web;
    /// ```
    #[must_use]
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: tower::Layer<axum::routing::Route> + Clone + Send + Sync + 'static,
        L::Service: tower::Service<axum::extract::Request> + Clone + Send + Sync + 'static,
        <L::Service as tower::Service<axum::extract::Request>>::Response: IntoResponse + 'static,
        <L::Service as tower::Service<axum::extract::Request>>::Error: Into<Infallible> + 'static,
        <L::Service as tower::Service<axum::extract::Request>>::Future: Send + 'static,
    {
        self.layers.push(Box::new(move |router| router.layer(layer.clone())));
        self
    }

    /// The routes in order.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// What `describe` tells.
    pub fn describe(&self) -> Vec<RouteDescription> {
        let routes = self.routes.iter().map(|route| RouteDescription {
            method: route.method.to_string(),
            path: route.path.clone(),
            action: route.action.to_owned(),
            policy: route.policy.to_string(),
        });
        let plain = self.plain.iter().map(|plain| RouteDescription {
            method: "*".to_owned(),
            path: format!("{}/*", plain.prefix),
            action: "axum router".to_owned(),
            policy: plain.policy.to_string(),
        });
        routes.chain(plain).collect()
    }

    /// Declares what the controllers need, so that it is checked with everything else.
    pub(crate) fn register(&self, services: &mut ServiceCollection) {
        for entry in &self.entries {
            entry(services);
        }
    }

    /// What is wrong with the table: routes that are declared twice, paths that are none or that the host has,
    /// and routers that cannot be put beside the rest.
    pub(crate) fn check(&self) -> Faults {
        let mut faults = Faults::default();
        let mut seen: HashMap<(&Method, String), &Route> = HashMap::new();
        // The matcher whose refusals axum panics with.
        let mut matcher = matchit::Router::new();
        let mut paths = HashSet::new();
        for route in &self.routes {
            let mut refuse = |code, what, fix: &str| {
                let at = format!("{} {} ({})", route.method, route.path, route.action);
                faults.push(Fault { area: Area::Routes, code, what, at, fix: fix.to_owned() });
            };
            if !is_path(&route.path) {
                refuse("path", format!("`{}` is not a path", route.path), PATH_FIX);
                continue;
            }
            if is_hosts(&route.path) {
                refuse(
                    "reserved",
                    format!("the host itself answers `{}`", route.path),
                    "give it another path",
                );
                continue;
            }
            if let Some(first) = seen.insert((&route.method, shape(&route.path)), route) {
                let (Route { method, path, action, .. }, other) = (route, first.action);
                let what = format!("{method} {path} is declared twice: by {other} and {action}");
                refuse("duplicate", what, "give one of them another path or method");
                continue;
            }
            if !paths.insert(&route.path) {
                continue;
            }
            if let Err(matchit::InsertError::Conflict { with }) = matcher.insert(&*route.path, ()) {
                let what = format!("`{with}` and `{}` cannot be told apart", route.path);
                refuse("parameter", what, "name the parameter alike in both, or change one path");
            }
        }
        if faults.is_empty() { self.check_plain() } else { faults }
    }

    /// Tries to put the plain routers beside routes that are sound. What is in a router cannot be listed, so it
    /// takes the attempt to see.
    fn check_plain(&self) -> Faults {
        if self.plain.is_empty() {
            return Faults::default();
        }
        let mut whole = axum::Router::new();
        for route in &self.routes {
            let Ok(filter) = MethodFilter::try_from(route.method.clone()) else { continue };
            whole = whole.route(&route.path, axum::routing::on(filter, async || ()));
        }
        for path in hosts_paths() {
            whole = whole.route(path, axum::routing::get(async || ()));
        }
        let mut faults = Faults::default();
        for Plain { prefix, policy, router } in &self.plain {
            let is_path = is_at_root(prefix) || (is_path(prefix) && !prefix.contains("{*"));
            let (before, router) = (whole.clone(), router.clone());
            let what = match is_path.then(|| catch_unwind(AssertUnwindSafe(|| put(before, prefix, router)))) {
                Some(Ok(more)) => {
                    whole = more;
                    continue;
                }
                Some(Err(panic)) => match panic.downcast_ref::<String>() {
                    Some(why) => format!("the axum router under `{prefix}` cannot be added: {why}"),
                    None => format!("the axum router under `{prefix}` overlaps other routes"),
                },
                None => format!("`{prefix}` is not a path that a router can be under"),
            };
            faults.push(Fault {
                area: Area::Routes,
                code: if is_path { "overlap" } else { "path" },
                what,
                at: format!("{prefix}/* (axum router, {policy})"),
                fix: if is_path { "give it a prefix of its own" } else { PATH_FIX }.to_owned(),
            });
        }
        faults
    }

    /// What answers, with the host's own router beside it, which has the API's documents or not; call it only when
    /// [`Web::check`] found nothing.
    pub(crate) fn into_routing(self, context: &Context, mut router: axum::Router, has_docs: bool) -> Routing {
        let has_plain = !self.plain.is_empty();
        let (of_router, of_actions): (Vec<_>, Vec<_>) =
            self.routes.into_iter().partition(|route| has_plain && route.path.contains('{'));
        for route in of_router {
            let Ok(filter) = MethodFilter::try_from(route.method.clone()) else { continue };
            let service = RouteService(Arc::new((context.clone(), route.endpoint)));
            router = router.route(&route.path, axum::routing::on_service(filter, service));
        }
        for plain in self.plain {
            let (context, policy) = (context.clone(), Arc::new(plain.policy));
            let guarded = plain.router.layer(axum::middleware::from_fn(
                move |request: axum::extract::Request, next: axum::middleware::Next| {
                    Arrival::note_route(request.extensions());
                    if !matches!(*policy, Policy::Public) && is_preflight(&request) {
                        // It comes without credentials, and is the edge's to answer.
                        return Either::Left(ready(NoContent.reply()));
                    }
                    Either::Right(context.clone().enter(Arc::clone(&policy), request, |_, parts, body| {
                        next.run(Request::from_parts(*parts, body))
                    }))
                },
            ));
            router = put(router, &plain.prefix, guarded);
        }
        let routing = Routing::new(
            of_actions,
            context,
            router,
            hosts_paths().filter(|path| has_docs || is_probe(path)),
        );
        if self.layers.is_empty() { routing } else { routing.within(&self.layers) }
    }
}

/// Whether a browser asks what a page of another origin may send.
pub(super) fn is_preflight<B>(request: &Request<B>) -> bool {
    *request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// An endpoint as a service: axum runs its future as it is, where a handler's would be put into a second one.
#[derive(Clone)]
struct RouteService(Arc<(Context, Endpoint)>);

impl tower::Service<Request<Body>> for RouteService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        Arrival::note_route(request.extensions());
        let (context, endpoint) = &*self.0;
        endpoint(context.clone(), request)
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.routes).finish()
    }
}

fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && (path == "/" || !path.ends_with('/'))
        && !path.contains("//")
        && path.split('/').all(|part| {
            part.contains('{') == part.contains('}') && !part.contains("{{") && !part.starts_with([':', '*'])
        })
        && matchit::Router::new().insert(path, ()).is_ok()
}

const PATH_FIX: &str = "begin it with `/`, end it without one, and write parameters as `{name}`";

/// The paths that the host answers itself, whatever its settings are.
fn hosts_paths() -> impl Iterator<Item = &'static str> {
    PROBES.into_iter().chain(docs::PATHS)
}

fn is_hosts(path: &str) -> bool {
    hosts_paths().any(|own| own == path)
}

fn is_at_root(prefix: &str) -> bool {
    prefix.is_empty() || prefix == "/"
}

/// Puts a router beside the routes that are there.
fn put(routes: axum::Router, prefix: &str, router: axum::Router) -> axum::Router {
    if is_at_root(prefix) { routes.merge(router) } else { routes.nest(prefix, router) }
}

/// The path with its parameters' names taken out.
fn shape(path: &str) -> String {
    let shape = |part: &str| match part {
        _ if part.starts_with("{*") => "{*}".to_owned(),
        _ if part.starts_with('{') && part.ends_with('}') => "{}".to_owned(),
        _ => part.to_owned(),
    };
    path.split('/').map(shape).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(method: Method, path: &str) -> Route {
        Route::new(
            method,
            path,
            "Test::action",
            Policy::Public,
            |_| {},
            |_, _, _| async { Response::new(Body::empty()) },
        )
    }

    fn codes(routes: Vec<Route>) -> Vec<&'static str> {
        let web = routes.into_iter().fold(Web::new(), Web::route);
        web.check().iter().map(|fault| fault.code).collect()
    }

    #[test]
    fn a_table_without_faults() {
        assert!(
            codes(vec![route(Method::GET, "/orders/{id}"), route(Method::PUT, "/orders/{id}")]).is_empty()
        );
    }

    #[test]
    fn every_fault_of_the_table_is_reported() {
        let table = vec![
            route(Method::GET, "/orders/{id}"),
            route(Method::GET, "/orders/{id}"),
            route(Method::PUT, "/orders/{order}"),
            route(Method::GET, "orders"),
            route(Method::GET, "/orders/"),
        ];
        assert_eq!(codes(table), ["duplicate", "parameter", "path", "path"]);
    }

    #[test]
    fn what_the_router_would_panic_with_is_a_fault() {
        let table = [
            "/orders/:id",
            "/orders/*rest",
            "/orders/{}",
            "/orders/{one}{two}",
            "/orders/{*rest}/lines",
            "/health",
            "/health/live",
            "/docs",
            "/docs/start.js",
            "/openapi.json",
            "/pizzas/{id}",
            "/pizzas/{pizza}/toppings",
            "/pizzas/{*rest}",
        ];
        let expected = [&["path"; 5][..], &["reserved"; 5], &["parameter"]].concat();
        assert_eq!(codes(table.map(|path| route(Method::GET, path)).to_vec()), expected);
    }

    #[test]
    fn a_table_without_faults_makes_a_router() {
        let mixed = ["/", "/pizzas/{id}", "/pizzas/new", "/{page}", "/docs/{page}", "/files/{*path}"];
        let web = mixed.into_iter().fold(Web::new(), |web, path| web.route(route(Method::GET, path)));
        let page = || axum::Router::new().route("/page", axum::routing::get(async || ()));
        let web = web.plain("/plain", Policy::Public, page()).plain("", Policy::Public, page());
        assert!(web.check().is_empty(), "{}", web.check());
    }

    #[test]
    fn a_plain_router_that_overlaps_is_a_fault() {
        let page = |path| axum::Router::new().route(path, axum::routing::get(async || ()));
        let web = Web::new()
            .route(route(Method::GET, "/pizzas/{id}"))
            .plain("/pizzas", Policy::Public, page("/{pizza}"))
            .plain("/", Policy::Public, page("/health"))
            .plain("/files", Policy::Public, page("/page"))
            .plain("/files", Policy::Public, page("/page"))
            .plain("/:files", Policy::Public, page("/page"))
            .plain("/files/{*rest}", Policy::Public, page("/page"));
        let faults = web.check();
        let codes: Vec<_> = faults.iter().map(|fault| fault.code).collect();
        assert_eq!(codes, ["overlap", "overlap", "overlap", "path", "path"], "{faults}");
    }
}
