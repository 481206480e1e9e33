//! From settings to services that have started: what is wrong with either is told at once, all of it.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;

use neuroglia_core::cache;
use neuroglia_core::cluster::{self, NodeName};
use neuroglia_core::data::{History, Migrations, Store};
use neuroglia_core::di::{Service, ServiceCollection, Services};
use neuroglia_core::error::{Error, Result, chain};
use neuroglia_core::fault::{Area, Fault, Faults};
use neuroglia_core::hosting::Stopping;
use neuroglia_core::messaging;
use neuroglia_core::settings::{Deploy, Environment, Loaded, Report, Schema, Settings};
use neuroglia_core::work::{self, WorkPlan};

use super::HostSettings;
use crate::app::App;
use crate::parity;
use crate::process::Role;
use crate::process::backlog::Depths;
use crate::process::hosted::Hosted;
use crate::process::role::Assignment;
use crate::process::starting::{Starting, UnderConstruction};
use crate::process::web::WebHost;
use crate::web::Web;

/// Loads the settings, and judges the deploy that they are of.
pub(super) fn load<S: Settings>(app: &App<S>, environment: &Environment) -> Loaded<(HostSettings, S)> {
    let mut loaded = environment.load::<(HostSettings, S)>(&app.prefixes);
    let deploy = Deploy::of(&Schema::of::<(HostSettings, S)>(), environment);
    loaded.report.warn(app.validator().validate(&deploy));
    loaded
}

/// An application's parts, unchecked.
pub(crate) struct Collected {
    pub(crate) services: ServiceCollection,
    pub(super) web: Web,
    pub(super) hosted: Vec<Hosted>,
}

/// Gathers what the application is made of as this process.
pub(crate) fn collect<S: Settings>(
    app: &App<S>,
    assignment: &Assignment,
    host: &HostSettings,
    settings: &Arc<S>,
) -> Collected {
    let mut services = ServiceCollection::new();
    services.add_instance(app.migration_list());
    services.add_instance(Stopping::default());
    services.add_instance(Depths::default());
    let (messages, worker) = (app.message_table(), app.worker_table());
    let handled = messages.descriptions().iter().filter(|described| described.kind == "event");
    let handled = handled.map(|described| described.name.as_str());
    let consumed = worker.subscriptions().iter().map(|subscription| subscription.event.as_str());
    messaging::check_names(&mut services, app.name, handled.chain(consumed));
    messages.register(&mut services);
    let web = app.web_table();
    web.register(&mut services);
    services.enter_root::<WebHost>();
    for register in &app.services {
        register(&mut services, settings);
    }
    if TypeId::of::<S>() != TypeId::of::<()>() {
        services.try_add(Service::shared(Arc::clone(settings)));
    }
    messaging::register(&mut services, app.name, worker.subscriptions().to_vec());
    work::register(&mut services);
    cluster::register(&mut services, node_name(app, assignment.role));
    cache::register(&mut services, app.name);
    let doers = {
        let of_worker = worker.register(&mut services);
        let of_scheduler = app.scheduler_table().register(&mut services);
        assignment.role.doers(of_worker, of_scheduler)
    };
    let plan = assignment.plan(doers, host.worker.concurrency.get()).unwrap_or_else(|what| {
        services.fault(Fault {
            area: Area::Services,
            code: "queue",
            what,
            at: "--queues".to_owned(),
            fix: "name queues of this process, or none for all".to_owned(),
        });
        WorkPlan::default()
    });
    services.add_instance(plan);
    neuroglia_core::data::register(&mut services);
    let (mut hosted, after) = assignment.role.parts(&services);
    // What a service of another process needs is checked here too: no process boots with a graph that another refuses.
    for part in hosted.iter().chain(&after).copied().chain(app.hosted_list()) {
        part.declare(&mut services);
    }
    hosted.extend(app.hosted_as(assignment.role));
    hosted.extend(after);
    Collected { services, web, hosted }
}

fn node_name<S>(app: &App<S>, role: Role) -> NodeName {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    NodeName { role: role.name().to_owned(), host, version: app.version.to_owned() }
}

/// Why an application did not start.
#[derive(Debug)]
pub enum StartError {
    /// Something must be mended first.
    Faults(Faults),
    /// A resource, a port or a hosted service failed.
    Failed(Error),
}

impl From<Error> for StartError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Faults(faults) => write!(f, "{faults}"),
            Self::Failed(error) => f.write_str(&chain(error)),
        }
    }
}

impl std::error::Error for StartError {}

/// The settings, or the report of what is wrong with them and with what can be judged without them.
pub(crate) fn settle<S: Settings>(
    app: &App<S>,
    environment: &Environment,
) -> Result<(HostSettings, Arc<S>, Report), (Faults, Report)> {
    let loaded = load(app, environment);
    match loaded.settings {
        Some((host, settings)) => Ok((host, Arc::new(settings), loaded.report)),
        None => {
            let mut faults = loaded.report.faults().clone();
            faults.extend(app.web_table().check());
            faults.extend(app.migration_list().faults());
            Err((faults, loaded.report))
        }
    }
}

/// An application whose services have started.
pub(crate) struct Started {
    pub(crate) services: Services,
    pub(super) web: Web,
    pub(super) hosted: Vec<Hosted>,
}

/// Checks the graph and the routes, starts the services, and checks the schema.
pub(crate) async fn start_services<S: Settings>(
    app: &App<S>,
    assignment: &Assignment,
    host: &HostSettings,
    starting: &Starting,
    settings: &Arc<S>,
    environment: &Environment,
    check_schema: bool,
) -> Result<Started, StartError> {
    let Collected { services: collection, web, hosted } = collect(app, assignment, host, settings);
    let mut faults = web.check();
    faults.extend(app.migration_list().faults());
    let graph = match collection.build() {
        Ok(graph) if faults.is_empty() => graph,
        Ok(_) => return Err(StartError::Faults(faults)),
        Err(others) => {
            faults.extend(others);
            return Err(StartError::Faults(faults));
        }
    };
    let singleton = UnderConstruction::default();
    let awaited = Awaited { singleton: &singleton, environment, store: store_of::<S> };
    let services = starting.bound(awaited, graph.start_telling(|name| singleton.begin(name))).await?;
    let judged = starting.bound("the store", prepare_store(app.name, &services, check_schema)).await;
    let failed = match judged {
        Ok(faults) if faults.is_empty() => return Ok(Started { services, web, hosted }),
        Ok(faults) => StartError::Faults(faults),
        Err(error) => StartError::Failed(error),
    };
    starting.clean_up().bound(end_services(&services)).await;
    Err(failed)
}

/// What a start waits for, as operators know it: the store by what this deploy attaches.
struct Awaited<'a> {
    singleton: &'a UnderConstruction,
    environment: &'a Environment,
    store: fn(&Environment) -> Option<String>,
}

impl fmt::Display for Awaited<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.singleton.to_string();
        let store = if name == "`dyn Store`" { (self.store)(self.environment) } else { None };
        f.write_str(store.as_ref().unwrap_or(&name))
    }
}

/// The store with its kind and address; none where no URL says them.
fn store_of<S: Settings>(environment: &Environment) -> Option<String> {
    let deploy = Deploy::of(&Schema::of::<(HostSettings, S)>(), environment);
    let setting = deploy.setting("DATABASE_URL")?;
    let address = parity::address(&setting.url()?)?;
    Some(format!("the store ({} at {address})", parity::kind(&deploy, setting)))
}

/// Migrates a store that began with the process; tells what is wrong with the schema of another.
async fn prepare_store(name: &str, services: &Services, check_schema: bool) -> Result<Faults> {
    let Some(store) = services.scope().find::<dyn Store>()? else { return Ok(Faults::default()) };
    let migrations = services.get::<Migrations>()?;
    if store.is_ephemeral() {
        let now = services.get::<neuroglia_core::clock::Clock>()?.now();
        store.migrate(&migrations.0, now).await?;
    } else if check_schema {
        let applied = store.applied_migrations().await?;
        let histories = [store.own_history().await?, History { expected: migrations.0.clone(), applied }];
        return Ok(History::check(&histories, &format!("{name} admin migrate")));
    }
    Ok(Faults::default())
}

/// Disposes of the services; the store goes last, because others may still need it.
pub(crate) async fn end_services(services: &Services) {
    services.dispose().await;
    if let Ok(Some(store)) = services.scope().find::<dyn Store>() {
        store.close().await;
    }
}
