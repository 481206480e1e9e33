//! The settings that the tests load: one of each thing that a field can be.

use std::collections::HashMap;
use std::io;
use std::num::NonZeroU32;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use neuroglia::fault::Fault;
use neuroglia::settings::{ByteSize, Environment, Loaded, Problems, Report, Secret, Settings, Source};
use url::Url;

pub(crate) const STRONG: &str = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ";

/// A mode of the kitchen; its parser quotes what it was given.
#[derive(Debug, PartialEq)]
pub(crate) enum Oven {
    Wood,
    Gas,
}

impl FromStr for Oven {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "wood" => Ok(Self::Wood),
            "gas" => Ok(Self::Gas),
            other => Err(format!("there is no oven called {other}")),
        }
    }
}

#[derive(Settings)]
#[setting(check = opening_hours)]
pub(crate) struct PizzeriaSettings {
    /// How many orders cook at once.
    ///
    /// More than the oven holds is of no use.
    #[setting(default = "3")]
    pub(crate) kitchen_capacity: NonZeroU32,
    #[setting(section)]
    pub(crate) payment: PaymentSettings,
    #[setting(section, flatten)]
    pub(crate) database: DatabaseSettings,
    /// Signs access tokens.
    #[setting(min_bytes = 32)]
    pub(crate) jwt_secret_key: Secret<String>,
    /// The port the HTTP server binds.
    #[setting(alias = "SERVER_PORT", default = "8000")]
    pub(crate) port: u16,
    /// The largest body of a request.
    #[setting(default = "2MiB")]
    pub(crate) body_size: ByteSize,
    /// Who may call from a browser.
    #[setting(default = "")]
    pub(crate) cors_origins: Vec<Url>,
    pub(crate) oven: Option<Oven>,
    /// Whether pizzas are delivered.
    #[setting(default = "on")]
    pub(crate) delivery: bool,
    #[setting(default = "11", check = an_hour)]
    pub(crate) opens: u8,
    #[setting(default = "23", check = an_hour)]
    pub(crate) closes: u8,
    #[setting(section)]
    pub(crate) smtp: Option<SmtpSettings>,
    pub(crate) r#type: Option<String>,
}

#[derive(Settings)]
pub(crate) struct PaymentSettings {
    /// Authorises charges.
    pub(crate) api_key: Option<Secret<String>>,
    /// How long the gateway may take.
    #[setting(default = "5s")]
    pub(crate) timeout: Duration,
}

#[derive(Settings)]
pub(crate) struct DatabaseSettings {
    /// Where orders are kept.
    #[setting(example = "sqlite:///var/lib/pizzeria/pizzeria.db")]
    pub(crate) database_url: Url,
}

#[derive(Settings)]
pub(crate) struct SmtpSettings {
    /// The mail server.
    pub(crate) host: String,
    #[setting(default = "587")]
    pub(crate) port: u16,
}

pub(crate) fn an_hour(hour: &u8) -> Result<(), String> {
    if *hour < 24 { Ok(()) } else { Err(format!("{hour} is not an hour of the day")) }
}

pub(crate) fn opening_hours(settings: &PizzeriaSettings, problems: &mut Problems) {
    if settings.opens >= settings.closes {
        problems.add("closes", format!("must be after OPENS, which is {}", settings.opens));
    }
}

pub(crate) const LEAST: [(&str, &str); 2] = [("DATABASE_URL", "memory:"), ("JWT_SECRET_KEY", STRONG)];

pub(crate) fn load_with(pairs: &[(&str, &str)]) -> Loaded<PizzeriaSettings> {
    let environment = Environment::from_pairs(LEAST.iter().chain(pairs).copied());
    environment.load(&["PIZZERIA_"])
}

/// The settings; a test that gets none shows the faults.
pub(crate) fn settings_of<S>(loaded: Loaded<S>) -> S {
    loaded.into_result().unwrap_or_else(|faults| panic!("{faults}"))
}

pub(crate) fn faults_of<S: Settings>(environment: &Environment) -> Vec<Fault> {
    environment.load::<S>(&[]).report.faults().iter().cloned().collect()
}

pub(crate) fn source_of<'a>(report: &'a Report, name: &str) -> &'a Source {
    &report.entries().iter().find(|entry| entry.variable.name() == name).expect("it is declared").source
}

pub(crate) fn files(
    files: &[(&str, &[u8])],
) -> impl Fn(&Path) -> io::Result<Vec<u8>> + Send + Sync + 'static {
    let files: HashMap<String, Vec<u8>> =
        files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect();
    move |path| {
        let bytes = path.to_str().and_then(|path| files.get(path)).cloned();
        bytes.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}
