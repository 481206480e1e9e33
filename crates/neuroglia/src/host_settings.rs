//! What every process of every application must be told: where to listen, how long to wait, what to log.
//!
//! Each default is the one of the table in the reliability notes; the sources stand with the limits themselves.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use neuroglia_core::settings::{ByteSize, Problems, Secret, Settings};

use crate::shutdown::KILL_MARGIN;
use crate::telemetry::{LogFormat, check_directives};
use crate::web::Quota;
use crate::web::edge::{EdgeSettings, ForwardedHeader, Network, Origin};
use crate::web::extract::ContentLimits;
use crate::web::server::Limits;

/// The host's own settings, loaded together with the application's.
#[derive(Settings)]
pub struct HostSettings {
    #[setting(section, flatten)]
    pub(crate) server: ServerSettings,
    #[setting(section, flatten)]
    pub(crate) lifecycle: LifecycleSettings,
    #[setting(section)]
    pub(crate) admin: AdminSettings,
    #[setting(section)]
    pub(crate) worker: WorkerSettings,
    #[setting(section)]
    pub(crate) log: LogSettings,
    #[setting(section)]
    pub(crate) http: HttpSettings,
    /// A name for logs and reports; nothing is switched by it.
    #[setting(default = "unnamed")]
    pub(crate) environment: String,
    /// How many processes of this kind the platform runs; nothing is switched by it, it is only checked that they can
    /// share what they are attached to.
    #[setting(example = "2")]
    pub(crate) replicas: Option<NonZeroUsize>,
    /// The id of the release that runs, on every log line.
    pub(crate) release_id: Option<String>,
}

/// Where the web process listens.
#[derive(Settings)]
pub(crate) struct ServerSettings {
    /// The port that the HTTP server binds; 0 takes a free one.
    #[setting(alias = "SERVER_PORT", default = "8000")]
    pub(crate) port: u16,
    /// The address that the HTTP server binds.
    #[setting(default = "0.0.0.0")]
    pub(crate) server_host: IpAddr,
    /// How many threads run the process; as many as there are processors when not set.
    #[setting(example = "4")]
    pub(crate) server_workers: Option<NonZeroUsize>,
}

impl ServerSettings {
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.server_host, self.port)
    }
}

/// How long starting and stopping may take.
#[derive(Settings)]
#[setting(check = the_end_is_long_enough)]
pub(crate) struct LifecycleSettings {
    /// The one deadline for everything that is done after the signal to stop; a platform that kills must wait two
    /// seconds longer.
    #[setting(default = "30s")]
    pub(crate) shutdown_timeout: Duration,
    /// How long requests are still accepted after the signal, for platforms that remove endpoints in parallel; it is a
    /// part of the deadline.
    #[setting(default = "0s")]
    pub(crate) shutdown_delay: Duration,
    /// How long the platform waits between the signal to stop and the kill, to have the deadline checked against it.
    #[setting(example = "35s")]
    pub(crate) termination_grace: Option<Duration>,
    /// How long a start may take; attached resources that are not there yet are waited for so long.
    #[setting(default = "30s")]
    pub(crate) startup_timeout: Duration,
}

fn the_end_is_long_enough(settings: &LifecycleSettings, problems: &mut Problems) {
    let (timeout, delay) = (settings.shutdown_timeout, settings.shutdown_delay);
    if !delay.is_zero() && delay >= timeout {
        problems.add(
            "shutdown_delay",
            format!("must be shorter than SHUTDOWN_TIMEOUT ({timeout:?}), or no request could finish"),
        );
    }
    let needed = timeout.saturating_add(KILL_MARGIN);
    if settings.termination_grace.is_some_and(|grace| grace < needed) {
        let problem = format!("is shorter than SHUTDOWN_TIMEOUT and two seconds, which is {needed:?}");
        problems.add("termination_grace", problem);
    }
}

/// The surface for operators: metrics and the detail of health.
#[derive(Settings)]
#[setting(check = strangers_need_a_token)]
pub(crate) struct AdminSettings {
    /// The port of the admin surface; not set, it is off.
    #[setting(example = "8001")]
    pub(crate) port: Option<u16>,
    /// The address that the admin surface binds.
    #[setting(default = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// What a caller of the admin surface presents as a bearer token; required when the host is not loopback.
    #[setting(min_bytes = 16)]
    pub(crate) token: Option<Secret<String>>,
}

impl AdminSettings {
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.port.map(|port| SocketAddr::new(self.host, port))
    }
}

fn strangers_need_a_token(settings: &AdminSettings, problems: &mut Problems) {
    if settings.port.is_some() && !settings.host.is_loopback() && settings.token.is_none() {
        problems.add("token", "must be set when ADMIN_HOST is not a loopback address");
    }
}

/// How much a worker takes on.
#[derive(Settings)]
pub(crate) struct WorkerSettings {
    /// How many pieces of work run at once in this process.
    #[setting(default = "16")]
    pub(crate) concurrency: NonZeroUsize,
}

/// What is logged, and how.
#[derive(Settings)]
pub(crate) struct LogSettings {
    /// Which events are logged: a level, or directives such as `info,marios_pizzeria=debug`.
    #[setting(default = "info", check = directives_are_understood)]
    pub(crate) level: String,
    /// `json` or `text`; when not set, text on a terminal and JSON everywhere else.
    #[setting(example = "json")]
    pub(crate) format: Option<LogFormat>,
}

#[expect(clippy::ptr_arg, reason = "a check gets a reference to the field's type")]
fn directives_are_understood(level: &String) -> Result<(), String> {
    check_directives(level)
}

/// What a client may cost, and what browsers may do.
#[derive(Settings)]
pub(crate) struct HttpSettings {
    /// The largest request body.
    #[setting(default = "2MiB")]
    pub(crate) body_max: ByteSize,
    /// The largest body after it was decompressed.
    #[setting(default = "8MiB")]
    pub(crate) body_inflated_max: ByteSize,
    /// The slowest request body, in bytes a second.
    #[setting(default = "240")]
    pub(crate) body_rate_min: u32,
    /// How long a request body may be slower than that at its start.
    #[setting(default = "5s")]
    pub(crate) body_rate_grace: Duration,
    /// All header fields of a request together.
    #[setting(default = "32KiB")]
    pub(crate) header_max: ByteSize,
    /// How many header fields a request may have.
    #[setting(default = "100")]
    pub(crate) header_count_max: usize,
    /// The longest request line.
    #[setting(default = "8KiB")]
    pub(crate) request_line_max: ByteSize,
    /// How long the head of a request may take to arrive.
    #[setting(default = "10s")]
    pub(crate) header_timeout: Duration,
    /// How long a kept connection may wait for its next request.
    #[setting(default = "75s")]
    pub(crate) idle_timeout: Duration,
    /// How long an answer may take to begin.
    #[setting(default = "30s")]
    pub(crate) request_timeout: Duration,
    /// How long a client may take nothing of its answer.
    #[setting(default = "30s")]
    pub(crate) write_timeout: Duration,
    /// How many connections are served at once; four fifths of the file descriptors when not set.
    pub(crate) connections_max: Option<usize>,
    /// How many requests one HTTP/2 connection may have open.
    #[setting(default = "100")]
    pub(crate) h2_streams_max: u32,
    /// How many requests one HTTP/2 connection may cancel, beyond one for each that it let finish.
    #[setting(default = "100")]
    pub(crate) h2_resets_max: u32,
    /// How deep a JSON document may be.
    #[setting(default = "64")]
    pub(crate) json_depth_max: usize,
    /// The origins whose pages may call the API from a browser, separated by commas; none when not set.
    #[setting(default = "")]
    pub(crate) cors_origins: Vec<Origin>,
    /// The networks of proxies that are believed for whom they ask, such as `10.0.0.0/8`; none when not set.
    #[setting(default = "")]
    pub(crate) trusted_proxies: Vec<Network>,
    /// The header in which the trusted proxies write it: `x-forwarded-for` or `forwarded`. The other one is ignored.
    #[setting(default = "x-forwarded-for")]
    pub(crate) forwarded_header: ForwardedHeader,
    /// How long a browser that came over https is to come over nothing else; `0s` says nothing of it.
    #[setting(default = "365d")]
    pub(crate) hsts_max_age: Duration,
    /// How often one client address may ask, such as `100/60s`; as often as it likes when not set. Each process counts
    /// for itself, unless the cache is one that all share, such as Redis.
    #[setting(example = "100/60s")]
    pub(crate) rate_limit: Option<Quota>,
    /// Whether the API's documentation is served at `/docs` and `/openapi.json`.
    #[setting(default = "on")]
    pub(crate) docs: bool,
    /// Whether the request log has the client's user agent.
    #[setting(default = "off")]
    pub(crate) log_user_agent: bool,
    /// Whether the request log has the query string.
    #[setting(default = "off")]
    pub(crate) log_query: bool,
    /// Whether the request log has the path, and not only the route; paths may carry ids.
    #[setting(default = "off")]
    pub(crate) log_path: bool,
}

impl HttpSettings {
    pub(crate) fn limits(&self) -> Limits {
        let defaults = Limits::default();
        Limits {
            request_line_bytes: self.request_line_max.as_usize(),
            header_bytes: self.header_max.as_usize(),
            header_count: self.header_count_max,
            header_timeout: self.header_timeout,
            idle_timeout: self.idle_timeout,
            request_timeout: self.request_timeout,
            body_bytes: self.body_max.bytes(),
            body_rate: self.body_rate_min,
            body_rate_grace: self.body_rate_grace,
            write_timeout: self.write_timeout,
            connections: self.connections_max.unwrap_or(defaults.connections),
            h2_streams: self.h2_streams_max,
            h2_resets: self.h2_resets_max,
            ..defaults
        }
    }

    pub(crate) fn edge(&self) -> EdgeSettings {
        EdgeSettings {
            trusted_proxies: self.trusted_proxies.clone(),
            forwarded_header: self.forwarded_header,
            allowed_origins: self.cors_origins.clone(),
            content: ContentLimits {
                body_bytes: self.body_max.as_usize(),
                inflated_bytes: self.body_inflated_max.as_usize(),
                json_depth: self.json_depth_max,
            },
            hsts_max_age: self.hsts_max_age,
            rate_limit: self.rate_limit,
            log_query: self.log_query,
            log_path: self.log_path,
            log_user_agent: self.log_user_agent,
            ..EdgeSettings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use neuroglia_core::settings::Environment;

    use super::*;

    #[test]
    fn a_process_that_is_told_nothing_answers_everybody_on_port_8000_and_no_operator() {
        let loaded = Environment::from_pairs([("", ""); 0]).load::<HostSettings>(&[]);
        let settings = loaded.settings.expect("everything has a default");
        assert_eq!(settings.server.address().to_string(), "0.0.0.0:8000");
        assert_eq!(settings.admin.port, None);
        assert_eq!(settings.lifecycle.shutdown_timeout, Duration::from_secs(30));
        assert_eq!(settings.lifecycle.startup_timeout, Duration::from_secs(30));
    }
}
