//! A process with two hosted services, of which the second plays the role that the setting `ROLE` names; the tests
//! of `hosted` and `parity` watch it from outside.

use std::process::ExitCode;
use std::sync::Arc;

use neuroglia::App;
use neuroglia::di::{Dispose, Inject, ServiceCollection};
use neuroglia::error::{Error, Result};
use neuroglia::hosting::{CancellationToken, HostedService};
use neuroglia::settings::{Deploy, Settings, Warning};

#[derive(Settings)]
struct Stage {
    /// What the second service does.
    #[setting(default = "orderly")]
    role: String,
}

fn main() -> ExitCode {
    App::<Stage>::new("hosted-roles")
        .services(services)
        .hosted::<First>()
        .hosted_in::<Second>([neuroglia::Role::Web])
        .parity(|validator| validator.rule(is_orderly))
        .run()
}

/// Whether a deploy can be relied upon.
fn is_orderly(stage: &Deploy) -> Vec<Warning> {
    let disorder = || Warning {
        code: "stage.disorder",
        what: "the second service does not play an orderly role".to_owned(),
        at: "ROLE".to_owned(),
        fix: "leave it at its default".to_owned(),
    };
    if stage.text("ROLE") == Some("orderly") { Vec::new() } else { vec![disorder()] }
}

fn services(services: &mut ServiceCollection, stage: &Stage) {
    services.add_instance(Role(stage.role.clone()));
    services.add_transient::<Oven, Oven>();
}

struct Role(String);

/// Something that belongs to whoever has it, and is to be given back.
#[derive(Inject)]
#[inject(dispose)]
struct Oven {}

impl Dispose for Oven {
    async fn dispose(&self) {
        tracing::info!("the oven is cold");
    }
}

#[derive(Inject)]
struct First {
    #[expect(dead_code, reason = "when it is disposed of is the point")]
    oven: Arc<Oven>,
}

impl HostedService for First {
    const NAME: &'static str = "first";

    async fn start(&self) -> Result<()> {
        tracing::info!("first starts");
        Ok(())
    }

    async fn run(&self, stop: CancellationToken) -> Result<()> {
        stop.cancelled().await;
        tracing::info!("first ends");
        Ok(())
    }

    async fn stop(&self) {
        tracing::info!("first stops");
    }
}

#[derive(Inject)]
struct Second {
    role: Arc<Role>,
}

impl HostedService for Second {
    const NAME: &'static str = "second";

    async fn start(&self) -> Result<()> {
        tracing::info!("second starts");
        match self.role.0.as_str() {
            "fails" => Err(Error::internal("no dough")),
            "hangs" => std::future::pending().await,
            _ => Ok(()),
        }
    }

    async fn run(&self, stop: CancellationToken) -> Result<()> {
        let _end = End;
        stop.cancelled().await;
        if self.role.0 == "is late" {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn stop(&self) {
        tracing::info!("second stops");
        assert_ne!(self.role.0, "panics", "as its role says");
    }
}

/// Says when a run has ended, also when it was cut.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        tracing::info!("second ends");
    }
}
