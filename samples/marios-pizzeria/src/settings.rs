//! What the pizzeria is told about where it runs.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use neuroglia::auth::{IssuerSettings, TokenSettings};
use neuroglia::cache::SessionSettings;
use neuroglia::mail::EmailAddress;
use neuroglia::schedule::Zone;
use neuroglia::settings::Settings;
use neuroglia::web::{IngestSettings, Quota};
use neuroglia_backing::bus::EventBusSettings;
use neuroglia_backing::cache::CacheSettings;
use neuroglia_backing::mail::MailSettings;
use neuroglia_backing::store::DatabaseSettings;
use pizzeria_domain::money::Currency;
use pizzeria_integration::PaymentSettings;

/// The pizzeria's settings.
#[derive(Settings)]
pub struct PizzeriaSettings {
    /// Where orders are kept.
    #[setting(section, flatten, defaults(database_name = "marios_pizzeria"))]
    pub database: DatabaseSettings,
    /// What is kept for a while.
    #[setting(section, flatten)]
    pub cache: CacheSettings,
    /// What carries events.
    #[setting(section, flatten)]
    pub events: EventBusSettings,
    /// Who may send events over HTTP.
    #[setting(section)]
    pub event_ingest: IngestSettings,
    /// How access tokens are signed.
    #[setting(section)]
    pub jwt: TokenSettings,
    /// How long sessions last.
    #[setting(section)]
    pub session: SessionSettings,
    /// Whether browsers send the cookie of a session over https only; `false` is for development without https.
    #[setting(default = "true")]
    pub session_cookie_secure: bool,
    /// Whose access tokens are accepted beside our own.
    #[setting(section)]
    pub auth: Option<IssuerSettings>,
    /// Who sends mail.
    #[setting(section, flatten, defaults(mail_from = "orders@marios-pizzeria.example"))]
    pub mail: MailSettings,
    /// Who takes cards.
    #[setting(section)]
    pub payment: PaymentSettings,
    /// How many orders the kitchen cooks at once.
    #[setting(default = "3")]
    pub kitchen_capacity: NonZeroU32,
    /// The currency of the menu, as ISO 4217 has it.
    #[setting(default = "USD")]
    pub currency: Currency,
    /// The time zone of the pizzeria: a name of the IANA database, or a rule as POSIX has it in `TZ`.
    #[setting(default = "UTC")]
    pub time_zone: Zone,
    /// Who is told by mail each morning at four how the day before went; nobody when not set.
    #[setting(example = "mario@marios-pizzeria.example")]
    pub report_to: Option<EmailAddress>,
    /// How many streams of live events each account may have open at one process.
    #[setting(default = "5")]
    pub events_streams_max: NonZeroUsize,
    /// How often a stream of live events with nothing to say says so; no more often than twice a second.
    #[setting(default = "15s")]
    pub events_heartbeat: Duration,
    /// How long a stream of live events lives; its client connects again, and shows again who it is.
    #[setting(default = "15m")]
    pub events_lifetime: Duration,
    /// How often may be tried to log in from one address.
    #[setting(default = "30/60s")]
    pub login_limit_address: Quota,
    /// How often may be tried to log in to one account.
    #[setting(default = "10/60s")]
    pub login_limit_account: Quota,
    /// How many passwords are checked at once; each takes 19 MiB of memory for some milliseconds.
    #[setting(default = "2")]
    pub password_checks_max: NonZeroUsize,
}
