//! The payment gateway, chosen by `PAYMENT_URL`.

use std::time::Duration;

use neuroglia::di::ServiceCollection;
use neuroglia::settings::{Problems, Secret, Settings};
use neuroglia::webhook::WebhookKey;
use url::Url;

#[cfg(feature = "http")]
mod gateway;

/// Who takes cards.
#[derive(Clone, Settings)]
#[setting(check = belong_together)]
pub struct PaymentSettings {
    /// The payment gateway: `https://…`; `?cacertfile=FILE` trusts that authority and no other. Orders by card are
    /// refused when it is not set.
    #[setting(example = "https://payments.example", check = can_be_called)]
    pub url: Option<Url>,
    /// What we show the gateway; needed with `PAYMENT_URL`.
    pub api_key: Option<Secret<String>>,
    /// The key that the gateway signs its webhooks with: `whsec_` and base64. They are refused when it is not set.
    pub webhook_key: Option<Secret<WebhookKey>>,
    /// How long a call of the gateway may take; what came of one that takes longer is asked for.
    #[setting(default = "5s")]
    pub timeout: Duration,
}

fn can_be_called(url: &Option<Url>) -> Result<(), String> {
    url.as_ref().map_or(Ok(()), neuroglia_backing::service::check_url)
}

fn belong_together(settings: &PaymentSettings, problems: &mut Problems) {
    if settings.url.is_some() && settings.api_key.is_none() {
        problems.add("api_key", "must be set when PAYMENT_URL is");
    }
    if settings.timeout.is_zero() {
        problems.add("timeout", "is no time in which a gateway could answer; write a longer one");
    }
}

/// Attaches the gateway, if there is one; nothing is asked of it at start.
pub fn register(services: &mut ServiceCollection, settings: &PaymentSettings) {
    #[cfg(feature = "http")]
    if let (Some(url), Some(api_key)) = (&settings.url, &settings.api_key) {
        gateway::register(services, url.clone(), api_key.clone(), settings.timeout);
    }
    // Without the feature a URL was refused by the settings.
    #[cfg(not(feature = "http"))]
    let _ = (services, settings);
}
