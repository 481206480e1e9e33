//! An application that runs within this process: what tests use.

use std::fmt;
use std::net::SocketAddr;

use neuroglia_core::di::{ServiceDescription, Services};
use neuroglia_core::settings::{Environment, Settings};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::host::{StartError, Started, collect, end_services, open_site, settle, start_services};
use crate::process::Role;
use crate::process::admin::{AdminCommand, AdminContext};
use crate::process::role::Assignment;
use crate::process::starting::Starting;

/// An application that runs within this process: what tests use.
///
/// It is the same application as the one that [`App::run`] runs, but for the signals, the telemetry and the exit
/// code. [`Running::stop`] ends it as a signal would; so does dropping it, but nobody waits for that.
pub struct Running {
    address: Option<SocketAddr>,
    admin_address: Option<SocketAddr>,
    services: Services,
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<bool>,
}

impl<S: Settings> App<S> {
    /// Starts everything within this process, with this environment.
    ///
    /// # Errors
    /// Every fault of the settings, the graph, the routes and the schema; or what failed.
    pub async fn start(self, environment: &Environment) -> Result<Running, StartError> {
        self.start_as(Role::All, environment).await
    }

    /// Starts one of the application's processes within this one, with this environment.
    ///
    /// # Errors
    /// Those of [`App::start`].
    pub async fn start_as(self, role: Role, environment: &Environment) -> Result<Running, StartError> {
        let (host, settings, _) =
            settle(&self, environment).map_err(|(faults, _)| StartError::Faults(faults))?;
        let (assignment, interrupt) = (Assignment::of(role), CancellationToken::new());
        let site = open_site(&self, &assignment, &host, &settings, environment, interrupt).await?;
        let (address, admin_address) = (site.address(), site.admin_address());
        let services = site.services().clone();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            // The settings live as long as the application, as they do in `run`.
            let _settings = settings;
            let mut serving = std::pin::pin!(site.serve());
            tokio::select! {
                _ = &mut serving => return false,
                _ = stopped => {}
            }
            let lifecycle = &host.lifecycle;
            site.end(&mut serving, lifecycle.shutdown_delay, lifecycle.shutdown_timeout).await.is_clean()
        });
        Ok(Running { address, admin_address, services, stop, task })
    }

    /// Runs one admin command within this process, with this environment; for tests.
    ///
    /// # Errors
    /// Those of [`App::start`], and the command's own.
    pub async fn run_admin<C: AdminCommand>(
        &self,
        environment: &Environment,
        command: C,
    ) -> Result<(), StartError> {
        let (host, settings, _) =
            settle(self, environment).map_err(|(faults, _)| StartError::Faults(faults))?;
        let starting = Starting::new(&host, CancellationToken::new());
        let assignment = Assignment::of(Role::All);
        let Started { services, .. } =
            start_services(self, &assignment, &host, &starting, &settings, environment, !C::ANY_SCHEMA)
                .await?;
        let context = AdminContext::new(services.scope(), self.name);
        let outcome = command.run(&context).await;
        context.tell_others().await;
        context.scope().clone().close().await;
        end_services(&services).await;
        Ok(outcome?)
    }

    /// What the application's services are with this environment.
    ///
    /// # Errors
    /// Every fault of the settings.
    pub fn describe_services(
        &self,
        environment: &Environment,
    ) -> Result<Vec<ServiceDescription>, StartError> {
        let (host, settings, _) =
            settle(self, environment).map_err(|(faults, _)| StartError::Faults(faults))?;
        Ok(collect(self, &Assignment::of(Role::All), &host, &settings).services.describe())
    }
}

impl Running {
    /// Where it answers.
    ///
    /// # Panics
    /// When the process does not answer HTTP.
    pub fn address(&self) -> SocketAddr {
        self.address.expect("a worker and a scheduler answer on their admin surface only")
    }

    /// Where its admin surface answers, when it has one.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Its services, for a test to look behind the scenes.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// Ends it as a signal would; whether no work was left undone.
    pub async fn stop(self) -> bool {
        // A process that has ended by itself does not listen any more.
        let _ = self.stop.send(());
        self.task.await.unwrap_or(false)
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("address", &self.address).finish_non_exhaustive()
    }
}
