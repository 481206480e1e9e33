//! The table of an application's routes, and the check of it at boot.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::routing::MethodFilter;
use futures_util::future::BoxFuture;
use http::{Method, Request, Response};
use neuroglia_core::di::{Inject, ServiceCollection};
use neuroglia_core::fault::{Area, Fault, Faults};
use serde::Serialize;

use super::context::Context;
use super::openapi::Operation;
use super::policy::Policy;

/// Something with actions that answer requests; `#[controller]` writes the implementation.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a controller",
    note = "put `#[controller(\"/path\")]` on an `impl` block of it"
)]
pub trait Controller: Inject {
    /// Its routes, in the order of its actions.
    fn routes() -> Vec<Route>;
}

/// What answers requests to a route.
pub(super) type Endpoint =
    Arc<dyn Fn(Context, Request<Body>) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// One method on one path, who may call it, and what answers.
#[derive(Clone)]
pub struct Route {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) policy: Policy,
    pub(super) action: &'static str,
    pub(super) describe: fn(&mut Operation<'_>),
    pub(super) endpoint: Endpoint,
}

impl Route {
    /// A route. What `#[controller]` expands to calls it; an application writes it for a route without one.
    ///
    /// `action` names it in `describe` and as the operation's id.
    pub fn new<F, O>(
        method: Method,
        path: impl Into<String>,
        action: &'static str,
        policy: Policy,
        describe: fn(&mut Operation<'_>),
        endpoint: F,
    ) -> Self
    where
        F: Fn(Context, Request<Body>) -> O + Send + Sync + 'static,
        O: Future<Output = Response<Body>> + Send + 'static,
    {
        Self {
            method,
            path: path.into(),
            policy,
            action,
            describe,
            endpoint: Arc::new(move |context, request| Box::pin(endpoint(context, request))),
        }
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
    entries: Vec<fn(&mut ServiceCollection)>,
}

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
        });
        self
    }

    /// Adds one route.
    #[must_use]
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// Adds a plain axum router under a prefix, with one policy for all of it. Its handlers take what they need
    /// by [`Injected`](super::Injected); tower layers stay with it.
    #[must_use]
    pub fn plain(mut self, prefix: impl Into<String>, policy: Policy, router: axum::Router) -> Self {
        self.plain.push(Plain { prefix: prefix.into(), policy, router });
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

    /// What is wrong with the table: routes that are declared twice, paths that are none.
    pub(crate) fn check(&self) -> Faults {
        let mut faults = Faults::default();
        let mut seen: HashMap<(Method, String), &Route> = HashMap::new();
        let mut shapes: HashMap<String, &Route> = HashMap::new();
        for route in &self.routes {
            let at = format!("{} {} ({})", route.method, route.path, route.action);
            if !is_path(&route.path) {
                faults.push(Fault {
                    area: Area::Routes,
                    code: "path",
                    what: format!("`{}` is not a path", route.path),
                    at: at.clone(),
                    fix: "begin it with `/`, end it without one, and write parameters as `{name}`".to_owned(),
                });
                continue;
            }
            let shape = shape(&route.path);
            if let Some(first) = seen.insert((route.method.clone(), shape.clone()), route) {
                faults.push(Fault {
                    area: Area::Routes,
                    code: "duplicate",
                    what: format!(
                        "{} {} is declared twice: by {} and {}",
                        route.method, route.path, first.action, route.action
                    ),
                    at: at.clone(),
                    fix: "give one of them another path or method".to_owned(),
                });
            } else if let Some(first) = shapes.get(&shape)
                && first.path != route.path
            {
                faults.push(Fault {
                    area: Area::Routes,
                    code: "parameter",
                    what: format!("`{}` and `{}` are the same path with other names", first.path, route.path),
                    at,
                    fix: "name the parameter alike in both".to_owned(),
                });
            }
            shapes.entry(shape).or_insert(route);
        }
        faults
    }

    /// The router that answers; call it only when [`Web::check`] found nothing.
    pub(crate) fn into_router(self, context: &Context) -> axum::Router {
        let mut router = axum::Router::new();
        for route in self.routes {
            let Ok(filter) = MethodFilter::try_from(route.method.clone()) else { continue };
            let (context, endpoint) = (context.clone(), route.endpoint);
            let service = move |request: axum::extract::Request| endpoint(context.clone(), request);
            router = router.route(&route.path, axum::routing::on(filter, service));
        }
        for plain in self.plain {
            let (context, policy) = (context.clone(), plain.policy);
            let guarded = plain.router.layer(axum::middleware::from_fn(
                move |request: axum::extract::Request, next: axum::middleware::Next| {
                    let (context, policy) = (context.clone(), policy.clone());
                    async move {
                        context
                            .enter(&policy, request, |_, parts, body| {
                                next.run(Request::from_parts(parts, body))
                            })
                            .await
                    }
                },
            ));
            router = if plain.prefix.is_empty() || plain.prefix == "/" {
                router.merge(guarded)
            } else {
                router.nest(&plain.prefix, guarded)
            };
        }
        router
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
        && path.split('/').all(|part| part.contains('{') == part.contains('}'))
}

/// The path with its parameters' names taken out.
fn shape(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect::<Vec<_>>().join("/")
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
            |_, _| async { Response::new(Body::empty()) },
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
}
