//! A long-running process: opened, served, and ended within one deadline.
//!
//! The end, as section 4.8 of the reliability notes has it: readiness says 503 and every answer
//! `Connection: close` at once; the listener stays open for the delay, then closes; requests in flight finish;
//! hosted services stop in the reverse order; singletons are disposed of; and at the deadline whatever is left
//! is cut, counted, and shown by the exit code.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use neuroglia_core::cache::{CacheMeter, Keeper, Keyspace};
use neuroglia_core::clock::Clock;
use neuroglia_core::data::Store;
use neuroglia_core::di::{Inject, Scope, Services};
use neuroglia_core::error::{Error, ErrorKind, Result};
use neuroglia_core::hosting::Stopping;
use neuroglia_core::id::Ids;
use neuroglia_core::meter::Meter;
use neuroglia_core::work::BrokenOff;

use super::backlog;
use super::caching;
use super::hosted::{Hosted, Supervisor};
use super::role::Role;
use super::starting::Starting;
use crate::auth::{Authenticator, SessionCookies};
use crate::health::{Health, Indicator};
use crate::host::{HostSettings, end_services};
use crate::metrics::Metrics;
use crate::shutdown::{Deadline, LAST_MOMENTS};
use crate::web::edge::{Edge, EdgeSettings, noting_route};
use crate::web::server::{Drain, Drained, Limits, Server};
use crate::web::{Context, Web, docs};

/// Operators and their probes are few, and must not take descriptors from those whom the process is there for.
const ADMIN_CONNECTIONS: usize = 64;

/// The application, as its processes call it.
#[derive(Clone, Copy)]
pub(crate) struct About {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) role: Role,
}

/// What the host itself takes of the services and keeps: none of it may live for one scope only.
#[derive(Inject)]
pub(crate) struct WebHost {
    store: Option<Arc<dyn Store>>,
    indicators: Vec<Arc<dyn Indicator>>,
    meters: Vec<Arc<dyn Meter>>,
    authenticator: Option<Arc<dyn Authenticator>>,
    sessions: Option<Arc<SessionCookies>>,
    cache: Option<Arc<CacheMeter>>,
    keeper: Option<Arc<Keeper>>,
    keyspace: Arc<Keyspace>,
}

/// An opened process: its ports are bound and its services run.
pub(crate) struct Site {
    services: Services,
    /// Keeps what was built for the host and the hosted services: it ends after them.
    scope: Scope,
    health: Health,
    metrics: Metrics,
    drain: Drain,
    address: Option<SocketAddr>,
    admin_address: Option<SocketAddr>,
    bound: std::sync::Mutex<Option<Bound>>,
    supervisor: std::sync::Mutex<Option<Supervisor>>,
}

/// What is consumed by serving.
struct Bound {
    /// None in a process that answers operators only.
    door: Option<(Server, Edge)>,
    admin: Option<(Server, Edge)>,
}

/// How a process ended.
pub(crate) struct Ended {
    /// What the server left behind.
    pub(crate) drained: Drained,
    /// The hosted services that did not stop in time.
    pub(crate) late: Vec<&'static str>,
    /// Durable work that was broken off, by kind and id.
    pub(crate) broken_off: Vec<String>,
    /// Whether the services and the store could be disposed of in time.
    pub(crate) disposed: bool,
}

impl Ended {
    pub(crate) fn is_clean(&self) -> bool {
        self.drained.is_clean() && self.late.is_empty() && self.broken_off.is_empty() && self.disposed
    }
}

impl Site {
    /// Binds the ports, then starts the hosted services; the process is ready afterwards.
    pub(crate) async fn open(
        starting: &Starting,
        about: About,
        host: &HostSettings,
        services: Services,
        web: Option<Web>,
        document: Option<impl FnOnce() -> serde_json::Value + Send + 'static>,
        hosted: &[Hosted],
    ) -> Result<Self> {
        let scope = services.scope();
        let WebHost { store, indicators, meters, authenticator, sessions, cache, keeper, keyspace } =
            scope.inject()?;
        let health = Health::new(services.get()?);
        if let Some(store) = store {
            health.add(crate::health::StoreIndicator::new(store));
        }
        for indicator in indicators {
            health.add_shared(indicator);
        }
        let metrics = Metrics::new(about.name, about.version, host.release_id.as_deref());
        metrics.meters(meters);
        backlog::show(&metrics, &services.get()?, &services.get()?, &services.get()?, &services.get()?);
        if let Some(meter) = cache {
            caching::show(&metrics, &meter);
        }
        let shared = keeper.and_then(|keeper| keeper.limits()).filter(|limits| limits.is_quick());
        let (ids, clock) = (services.get::<Ids>()?, services.get::<Clock>()?);
        let limits = host.http.limits();
        let door = match web {
            None => None,
            Some(web) => {
                let context = Context::new(services.clone(), authenticator, sessions);
                let mut router = noting_route(health.router());
                let has_docs = document.is_some();
                if let Some(document) = document {
                    router = router.merge(noting_route(docs::router(about.name, document)));
                }
                let routing = web.into_routing(&context, router, has_docs);
                let edge = Edge::new(routing, host.http.edge(), &ids, &clock)
                    .with_metrics(metrics.clone())
                    .with_shared_limits(shared, &keyspace);
                Some((bind(host.server.address(), limits.clone(), "PORT")?, edge))
            }
        };
        let admin = match host.admin.address() {
            None => {
                tracing::info!(
                    "the admin surface is off; set ADMIN_PORT to have metrics and the detail of health"
                );
                None
            }
            Some(address) => {
                let limits = Limits { connections: limits.connections.min(ADMIN_CONNECTIONS), ..limits };
                let server = bind(address, limits, "ADMIN_PORT")?;
                let router = crate::admin_surface::router(&health, &metrics, &host.admin);
                let settings = EdgeSettings { log_quietly: true, ..EdgeSettings::default() };
                Some((server, Edge::new(noting_route(router), settings, &ids, &clock)))
            }
        };
        let address_of =
            |bound: &Option<(Server, Edge)>| bound.as_ref().map(|(server, _)| server.local_addr());
        let (address, admin_address) = (address_of(&door), address_of(&admin));
        let supervisor = Supervisor::start(hosted, &scope, starting).await?;
        supervisor.show(&metrics);
        health.ready();
        tracing::info!(
            process.role = about.role.name(),
            server.address = address.map(tracing::field::display),
            admin.address = admin_address.map(tracing::field::display),
            version = about.version,
            environment = host.environment,
            replicas = host.replicas.map(NonZeroUsize::get),
            "ready"
        );
        // The log says what is attached, and whether it answers, also where nobody asks.
        let asked = health.clone();
        tokio::spawn(async move { asked.readiness().await });
        Ok(Self {
            services,
            scope,
            health,
            metrics,
            drain: Drain::new(),
            address,
            admin_address,
            bound: std::sync::Mutex::new(Some(Bound { door, admin })),
            supervisor: std::sync::Mutex::new(Some(supervisor)),
        })
    }

    /// Where it answers HTTP, if it does.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    pub(crate) fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    pub(crate) fn services(&self) -> &Services {
        &self.services
    }

    /// What the process counts about itself.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Answers until [`Site::end`] has come to its end.
    pub(crate) async fn serve(&self) -> Drained {
        let bound = self.bound.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let Some(Bound { door, admin }) = bound else { return Drained::default() };
        // The admin surface answers to the very end: that is when operators look. At the deadline it is cut together
        // with the requests, and not after them.
        let admin_drain = Drain { abort: self.drain.abort.child_token(), ..Drain::new() };
        let admin = admin.map(|(server, edge)| {
            let drain = admin_drain.clone();
            tokio::spawn(async move { server.serve(edge, drain).await })
        });
        let drained = match door {
            Some((server, edge)) => server.serve(edge, self.drain.clone()).await,
            None => {
                self.drain.close.cancelled().await;
                Drained::default()
            }
        };
        admin_drain.abort.cancel();
        if let Some(admin) = admin {
            // What a reader of metrics lost at the end is no work undone.
            let _ = admin.await;
        }
        drained
    }

    /// Ends what [`Site::serve`] serves, within the timeout.
    pub(crate) async fn end(
        &self,
        serving: &mut Pin<&mut impl Future<Output = Drained>>,
        delay: Duration,
        timeout: Duration,
    ) -> Ended {
        let deadline = Deadline::after(timeout);
        self.health.draining();
        self.drain.begin.cancel();
        let supervisor = self.supervisor.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let first = supervisor.as_ref().map_or(deadline, |supervisor| supervisor.first_ends_by(deadline));
        if let Ok(stopping) = self.services.get::<Stopping>() {
            stopping.begin_until(first.instant());
        }
        let drained = {
            let moments = async {
                tokio::time::sleep(delay.min(timeout)).await;
                self.drain.close.cancel();
                deadline.reached().await;
                self.drain.abort.cancel();
                std::future::pending::<()>().await
            };
            tokio::select! {
                drained = serving.as_mut() => drained,
                () = moments => Drained::default(),
            }
        };
        let late = match supervisor {
            Some(supervisor) => supervisor.stop(deadline.at_least(LAST_MOMENTS)).await,
            None => Vec::new(),
        };
        let broken_off = self.services.get::<BrokenOff>().map(|work| work.take()).unwrap_or_default();
        let disposed = deadline
            .at_least(LAST_MOMENTS)
            .bound(async {
                self.scope.clone().close().await;
                end_services(&self.services).await;
            })
            .await;
        Ended { drained, late, broken_off, disposed }
    }
}

fn bind(address: SocketAddr, limits: crate::web::server::Limits, variable: &str) -> Result<Server> {
    Server::bind(address, limits).map_err(|cause| {
        let detail = format!("cannot listen on {address} ({variable}): {cause}");
        Error::new(ErrorKind::Unavailable, "port.unavailable", detail)
    })
}
