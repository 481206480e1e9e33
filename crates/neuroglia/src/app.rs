//! What an application is made of: a name, and one function for each of its parts.

use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;

use neuroglia_core::data::{Migration, Migrations};
use neuroglia_core::di::ServiceCollection;
use neuroglia_core::error::{Error, Result};
use neuroglia_core::hosting::HostedService;
use neuroglia_core::mediation::Messages;
use neuroglia_core::schedule::Scheduler;
use neuroglia_core::settings::{Environment, Settings};
use neuroglia_core::work::Worker;

use crate::host;
use crate::parity::EnvironmentValidator;
use crate::process::Role;
use crate::process::admin::Admin;
use crate::process::hosted::Hosted;
use crate::telemetry::TelemetryLayer;
use crate::web::Web;

/// A function that registers services from the settings.
type Register<S> = Box<dyn Fn(&mut ServiceCollection, &S) + Send + Sync>;

/// A function that makes a layer from the settings.
type MakeLayer<S> = Box<dyn Fn(&S) -> Result<TelemetryLayer> + Send + Sync>;

/// A whole application: what `main` runs and what tests start.
///
/// Each part is a plain function, so that every name in it is a go-to-definition away. A table that is given twice
/// adds up: a test adds what only it needs. The history of the schema is one function, the last one given.
///
/// ```
/// use neuroglia::App;
/// use neuroglia::di::ServiceCollection;
/// use neuroglia::settings::{Environment, Settings};
///
/// #[derive(Settings)]
/// struct ShopSettings {
///     /// Where the menu is kept.
///     #[setting(default = "menu.json")]
///     menu_file: String,
/// }
///
/// struct Menu {
///     file: String,
/// }
///
/// fn app() -> App<ShopSettings> {
///     App::new("shop").services(services)
/// }
///
/// fn services(services: &mut ServiceCollection, settings: &ShopSettings) {
///     services.add_instance(Menu { file: settings.menu_file.clone() });
/// }
/// # let _ = app();
/// ```
#[must_use = "an application does nothing until it is run"]
pub struct App<S = ()> {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) title: Option<&'static str>,
    pub(crate) is_alone: bool,
    pub(crate) prefixes: Vec<&'static str>,
    telemetry: Vec<MakeLayer<S>>,
    pub(crate) services: Vec<Register<S>>,
    messages: Vec<fn(Messages) -> Messages>,
    web: Vec<fn(Web) -> Web>,
    worker: Vec<fn(Worker) -> Worker>,
    scheduler: Vec<fn(Scheduler) -> Scheduler>,
    admin: Vec<fn(Admin) -> Admin>,
    pub(crate) migrations: fn() -> Vec<Migration>,
    hosted: Vec<(Hosted, Vec<Role>)>,
    parity: Vec<fn(EnvironmentValidator) -> EnvironmentValidator>,
}

impl<S: Settings> App<S> {
    /// An application that does nothing yet. The name is that of its executable, in lower case with hyphens.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            version: "0.0.0",
            title: None,
            is_alone: false,
            prefixes: Vec::new(),
            telemetry: Vec::new(),
            services: Vec::new(),
            messages: Vec::new(),
            web: Vec::new(),
            worker: Vec::new(),
            scheduler: Vec::new(),
            admin: Vec::new(),
            migrations: Vec::new,
            hosted: Vec::new(),
            parity: Vec::new(),
        }
    }

    /// Its version; an application passes `env!("CARGO_PKG_VERSION")`.
    pub fn version(self, version: &'static str) -> Self {
        Self { version, ..self }
    }

    /// What people call it, for the API's documentation.
    pub fn title(self, title: &'static str) -> Self {
        Self { title: Some(title), ..self }
    }

    /// Is one small process: without a command on its command line it runs as `all`.
    pub fn alone(self) -> Self {
        Self { is_alone: true, ..self }
    }

    /// A prefix that only this application's variables have: an unknown one under it is warned about.
    pub fn own_prefix(mut self, prefix: &'static str) -> Self {
        self.prefixes.push(prefix);
        self
    }

    /// Adds a layer that hears every event and span of the process beside the log, such as an exporter of traces; see
    /// [`TelemetryLayer`].
    ///
    /// It is made when the settings are loaded and before there is a runtime; one that cannot be made ends the start. A test
    /// has no layers: events are the process', and several applications run in the one of a test.
    pub fn telemetry(mut self, layer: impl Fn(&S) -> Result<TelemetryLayer> + Send + Sync + 'static) -> Self {
        self.telemetry.push(Box::new(layer));
        self
    }

    /// Registers services from the settings. Called several times, the functions run in that order; a test adds
    /// one that replaces ports.
    ///
    /// The settings themselves need none of it: whoever is built by the container may take them as an `Arc` of their
    /// struct.
    pub fn services(mut self, services: impl Fn(&mut ServiceCollection, &S) + Send + Sync + 'static) -> Self {
        self.services.push(Box::new(services));
        self
    }

    /// Lists the commands, queries and event handlers.
    pub fn messages(mut self, messages: fn(Messages) -> Messages) -> Self {
        self.messages.push(messages);
        self
    }

    /// Lists the controllers.
    pub fn web(mut self, web: fn(Web) -> Web) -> Self {
        self.web.push(web);
        self
    }

    /// Lists the consumers of events and the jobs.
    pub fn worker(mut self, worker: fn(Worker) -> Worker) -> Self {
        self.worker.push(worker);
        self
    }

    /// Lists what is done at set times.
    pub fn scheduler(mut self, scheduler: fn(Scheduler) -> Scheduler) -> Self {
        self.scheduler.push(scheduler);
        self
    }

    /// Lists the admin commands.
    pub fn admin(mut self, admin: fn(Admin) -> Admin) -> Self {
        self.admin.push(admin);
        self
    }

    /// Lists the schema's migrations, in order.
    pub fn migrations(self, migrations: fn() -> Vec<Migration>) -> Self {
        Self { migrations, ..self }
    }

    /// Adds rules by which deploys of the application are judged, and says which differences between them are meant.
    pub fn parity(mut self, parity: fn(EnvironmentValidator) -> EnvironmentValidator) -> Self {
        self.parity.push(parity);
        self
    }

    /// Adds a hosted service to every long-running process; they start in this order and stop in the reverse.
    pub fn hosted<H: HostedService>(self) -> Self {
        self.hosted_in::<H>([Role::Web, Role::Worker, Role::Scheduler])
    }

    /// Adds a hosted service to the processes of these roles, and to `all`, which is every role. What it needs is checked in
    /// each process.
    ///
    /// ```
    /// use neuroglia::di::Inject;
    /// use neuroglia::error::Result;
    /// use neuroglia::hosting::{CancellationToken, HostedService};
    /// use neuroglia::{App, Role};
    ///
    /// /// Keeps the ovens warm where pizzas are baked.
    /// #[derive(Inject)]
    /// struct Stoker {}
    ///
    /// impl HostedService for Stoker {
    ///     const NAME: &'static str = "stoker";
    ///
    ///     async fn run(&self, stop: CancellationToken) -> Result<()> {
    ///         stop.cancelled().await;
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let app = App::<()>::new("shop").hosted_in::<Stoker>([Role::Worker]);
    /// # let _ = app;
    /// ```
    pub fn hosted_in<H: HostedService>(mut self, roles: impl IntoIterator<Item = Role>) -> Self {
        self.hosted.push((Hosted::of::<H>(), roles.into_iter().collect()));
        self
    }

    /// Does what the command line says, and gives the exit code of the process.
    ///
    /// The environment is read once, here; nothing is opened before it is judged.
    pub fn run(self) -> ExitCode {
        host::run(self)
    }

    /// Does what this command line says, with this environment instead of the process' own: for programs that
    /// are more than one application.
    pub fn run_as(
        self,
        arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
        environment: Environment,
    ) -> ExitCode {
        host::run_as(self, arguments, &environment)
    }

    pub(crate) fn migration_list(&self) -> Migrations {
        Migrations((self.migrations)())
    }

    pub(crate) fn message_table(&self) -> Messages {
        self.messages.iter().fold(Messages::default(), |table, list| list(table))
    }

    /// The layers of its own, or why some of them cannot be made.
    pub(crate) fn telemetry_layers(&self, settings: &S) -> Result<Vec<TelemetryLayer>, Vec<Error>> {
        let mut layers = Vec::with_capacity(self.telemetry.len());
        let mut errors = Vec::new();
        for make in &self.telemetry {
            match make(settings) {
                Ok(layer) => layers.push(layer),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(layers) } else { Err(errors) }
    }

    pub(crate) fn web_table(&self) -> Web {
        self.web_maker()()
    }

    /// Makes the web table without the application.
    pub(crate) fn web_maker(&self) -> impl FnOnce() -> Web + Send + use<S> {
        let lists = self.web.clone();
        || lists.into_iter().fold(Web::new(), |table, list| list(table))
    }

    pub(crate) fn worker_table(&self) -> Worker {
        self.worker.iter().fold(Worker::new(), |table, list| list(table))
    }

    pub(crate) fn scheduler_table(&self) -> Scheduler {
        self.scheduler.iter().fold(Scheduler::new(), |table, list| list(table))
    }

    pub(crate) fn validator(&self) -> EnvironmentValidator {
        self.parity.iter().fold(EnvironmentValidator::default(), |validator, add| add(validator))
    }

    /// Every hosted service, in order.
    pub(crate) fn hosted_list(&self) -> impl Iterator<Item = Hosted> {
        self.hosted.iter().map(|&(hosted, _)| hosted)
    }

    /// Every hosted service with the processes that it runs in, in order.
    pub(crate) fn hosted_roles(&self) -> impl Iterator<Item = (Hosted, Vec<Role>)> {
        let all = [Role::Web, Role::Worker, Role::Scheduler, Role::All];
        self.hosted.iter().map(move |(hosted, roles)| {
            (*hosted, all.into_iter().filter(|&role| is_of(role, roles)).collect())
        })
    }

    /// The hosted services of a process, in order.
    pub(crate) fn hosted_as(&self, role: Role) -> impl Iterator<Item = Hosted> {
        self.hosted.iter().filter(move |(_, roles)| is_of(role, roles)).map(|&(hosted, _)| hosted)
    }

    pub(crate) fn admin_table(&self) -> Admin {
        self.admin.iter().fold(Admin::new(), |table, list| list(table))
    }
}

/// Whether what is for these roles is for this one, which may be all of them.
fn is_of(role: Role, roles: &[Role]) -> bool {
    role == Role::All || roles.contains(&role)
}

impl<S> fmt::Debug for App<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("name", &self.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use neuroglia_core::work::Consumer;

    use super::*;

    #[test]
    fn a_table_that_is_given_twice_adds_up() {
        let app = App::<()>::new("shop")
            .worker(|worker| worker.consumer(Consumer::new("mail")))
            .worker(|worker| worker.consumer(Consumer::new("ledger")));
        let table = app.worker_table();
        let names: Vec<_> = table.descriptions().iter().map(|of| of.name.as_str()).collect();
        assert_eq!(names, ["mail", "ledger"]);
    }
}
