//! RabbitMQ and NATS for the length of a measurement.

use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::services::watched::{Watched, free_port, order};
use crate::tools;
use crate::workspace::{Result, read};

macro_rules! script {
    ($name:literal) => {
        concat!(
            include_str!("../../../crates/neuroglia-testing/src/services/program.sh"),
            include_str!(concat!("../../../crates/neuroglia-testing/src/services/", $name)),
            include_str!("../../../crates/neuroglia-testing/src/services/watch.sh"),
        )
    };
}

const RABBITMQ: &str = script!("rabbitmq.sh");
const NATS: &str = script!("nats.sh");

/// How long a broker may take until its port answers.
const START_MAX: Duration = Duration::from_secs(60);

/// A broker that ends with this.
pub(crate) struct Broker {
    /// Its URL.
    pub(crate) url: String,
    _server: Watched,
}

impl Broker {
    /// Starts RabbitMQ.
    ///
    /// # Errors
    /// When it cannot be installed or does not start.
    pub(crate) fn rabbitmq(folder: &Path) -> Result<Self> {
        let more = format!("{},{}", free_port()?, free_port()?);
        Self::start("rabbitmq", RABBITMQ, "amqp", folder, &more)
    }

    /// Starts NATS.
    ///
    /// # Errors
    /// When it cannot be installed or does not start.
    pub(crate) fn nats(folder: &Path) -> Result<Self> {
        Self::start("nats", NATS, "nats", folder, "")
    }

    fn start(name: &'static str, script: &str, scheme: &str, folder: &Path, more: &str) -> Result<Self> {
        tools::provide_servers()?;
        let port = free_port()?;
        let server = Watched::start(name, script, folder.join(name), port, more)?;
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if began.elapsed() > START_MAX {
                return Err(format!("{name} does not answer"));
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Ok(Self { url: format!("{scheme}://127.0.0.1:{port}"), _server: server })
    }
}

/// Finds the server of NATS, and installs it where it is missing.
///
/// # Errors
/// When it cannot be installed.
pub(crate) fn provide_nats() -> Result<()> {
    read(&mut order(NATS, "find")).map(drop)
}
