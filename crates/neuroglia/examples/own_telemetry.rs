//! An application that hears its own events and spans beside the log; the tests of `telemetry` watch it from outside.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

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
use tracing::{Event, Level, Subscriber};

/// How the application listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ear {
    /// To some of it.
    Keen,
    /// To everything.
    Open,
    /// To everything, and speaks itself when it hears a trifle.
    Chatty,
    /// To some of it, and never comes to an end.
    Slow,
    /// Not at all.
    Deaf,
}

impl FromStr for Ear {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "keen" => Ok(Self::Keen),
            "open" => Ok(Self::Open),
            "chatty" => Ok(Self::Chatty),
            "slow" => Ok(Self::Slow),
            "deaf" => Ok(Self::Deaf),
            _ => Err("is no way to listen".to_owned()),
        }
    }
}

/// What the application is told.
#[derive(Settings)]
struct OvenSettings {
    /// How it listens.
    #[setting(default = "keen")]
    ear: Ear,
    /// Whether the oven falls over when it is lit.
    #[setting(default = "false")]
    falls: bool,
}

/// Writes what it hears to standard error.
struct Listener {
    is_chatty: bool,
}

impl<S: Subscriber> Layer<S> for Listener {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let _ = writeln!(io::stderr(), "heard span {}", attributes.metadata().name());
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if self.is_chatty && *event.metadata().level() == Level::DEBUG {
            tracing::warn!("somebody whispers");
        }
        event.record(&mut Said);
    }
}

/// Writes the message of an event.
struct Said;

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = writeln!(io::stderr(), "heard event {value:?}");
        }
    }
}

fn listener(settings: &OvenSettings) -> Result<TelemetryLayer> {
    let ear = settings.ear;
    let own = Targets::new().with_target("own_telemetry", LevelFilter::INFO);
    let own = own.with_target("neuroglia_core::mediation", LevelFilter::DEBUG);
    let listener = Listener { is_chatty: ear == Ear::Chatty };
    let layer = match ear {
        Ear::Deaf => return Err(Error::unavailable(io::Error::other("nobody can listen"))),
        Ear::Keen | Ear::Slow => TelemetryLayer::new(listener.with_filter(own)),
        Ear::Open | Ear::Chatty => TelemetryLayer::new(listener),
    };
    Ok(layer.ending_with(move || {
        let _ = writeln!(io::stderr(), "heard the end");
        if ear == Ear::Slow {
            loop {
                std::thread::park();
            }
        }
    }))
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
        tracing::debug!("looking at the oven");
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
struct ColdOven {
    settings: Arc<OvenSettings>,
}

impl HostedService for ColdOven {
    const NAME: &'static str = "cold oven";

    async fn start(&self) -> Result<()> {
        tracing::info!("the oven is cold");
        assert!(!self.settings.falls, "the oven falls over");
        Err(Error::invalid("oven.cold", "the oven is cold"))
    }

    async fn run(&self, _: CancellationToken) -> Result<()> {
        Ok(())
    }
}

fn main() -> ExitCode {
    App::<OvenSettings>::new("own-telemetry")
        .telemetry(listener)
        .messages(|messages| messages.query::<AskOven>())
        .admin(|admin| admin.command::<Look>())
        .hosted::<ColdOven>()
        .run()
}
