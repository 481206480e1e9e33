//! An application that hears its own events and spans beside the log; the tests of `telemetry` watch it from outside.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use neuroglia::App;
use neuroglia::di::Inject;
use neuroglia::error::{Error, Result};
use neuroglia::hosting::{CancellationToken, HostedService};
use neuroglia::mediation::{Mediator, Query, QueryHandler};
use neuroglia::process::admin::{AdminCommand, AdminContext, clap};
use neuroglia::settings::Settings;
use neuroglia::telemetry::TelemetryLayer;
use neuroglia::telemetry::tracing_subscriber::filter::Targets;
use neuroglia::telemetry::tracing_subscriber::layer::{Context, Layer};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};

/// What the application is told.
#[derive(Settings)]
struct OvenSettings {
    /// What stands before what is heard; without it, nobody can listen.
    #[setting(default = "heard")]
    ear: String,
}

/// Writes what it hears to standard error.
struct Ear {
    word: String,
}

impl<S: Subscriber> Layer<S> for Ear {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let _ = writeln!(io::stderr(), "{} span {}", self.word, attributes.metadata().name());
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut Said { word: &self.word });
    }
}

/// Writes the message of an event.
struct Said<'a> {
    word: &'a str,
}

impl Visit for Said<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = writeln!(io::stderr(), "{} event {value:?}", self.word);
        }
    }
}

fn ear(settings: &OvenSettings) -> Result<TelemetryLayer> {
    if settings.ear == "deaf" {
        return Err(Error::invalid("ear", "nobody can listen"));
    }
    let own = Targets::new().with_target("own_telemetry", LevelFilter::INFO);
    let own = own.with_target("neuroglia_core::mediation", LevelFilter::DEBUG);
    Ok(Ear { word: settings.ear.clone() }.with_filter(own).boxed())
}

/// Ask how warm the oven is.
struct AskOven;

impl Query for AskOven {
    type Response = ();
    type Handler = Oven;
}

#[derive(Inject)]
struct Oven {}

impl QueryHandler<AskOven> for Oven {
    async fn handle(&self, _: AskOven) -> Result<()> {
        tracing::info!("the oven is warm");
        Ok(())
    }
}

/// Asks how warm the oven is.
#[derive(clap::Args)]
struct Look {}

impl AdminCommand for Look {
    const NAME: &'static str = "look";
    const ABOUT: &'static str = "Asks how warm the oven is";

    async fn run(self, context: &AdminContext) -> Result<()> {
        context.inject::<Mediator>()?.send(AskOven).await
    }
}

/// A service that cannot start, so that the process ends by itself.
#[derive(Inject)]
struct ColdOven {}

impl HostedService for ColdOven {
    const NAME: &'static str = "cold oven";

    async fn start(&self) -> Result<()> {
        tracing::info!("the oven is cold");
        Err(Error::invalid("oven.cold", "the oven is cold"))
    }

    async fn run(&self, _: CancellationToken) -> Result<()> {
        Ok(())
    }
}

fn main() -> ExitCode {
    App::<OvenSettings>::new("own-telemetry")
        .telemetry(ear)
        .messages(|messages| messages.query::<AskOven>())
        .admin(|admin| admin.command::<Look>())
        .hosted::<ColdOven>()
        .run()
}
