//! A payment gateway that takes no money: it plays the one that the pizzeria calls, keeps a ledger of every movement,
//! and is slow, fails, or loses its answers when it is told to.
//!
//! A charge, its movement in the ledger and the webhook that tells of it are one unit of work, and the answer to an
//! idempotency key is part of it: after a kill either all of them are there or none. So whoever compares the ledger
//! with the merchant's books compares what did happen. One payment more than there should be for a reference is
//! taken like any other, because finding it is what the sandbox is for.
//!
//! `tok_declined` is a card that is declined; every other token is charged.

mod faults;
mod gateway;
mod ledger;
mod merchant;
mod payments;
mod webhooks;

use std::sync::Arc;

use neuroglia::App;
use neuroglia::auth::Authenticator;
use neuroglia::clock::Clock;
use neuroglia::data::{Index, Migration, Step, Store};
use neuroglia::di::{Lifetime, Service, ServiceCollection};
use neuroglia::domain::Aggregate;
use neuroglia::settings::{Problems, Secret, Settings};
use neuroglia::webhook::WebhookKey;
use neuroglia_backing::http::ServiceOptions;
use url::Url;

use faults::Faults;
use ledger::{Movement, Payment, REFERENCE};
use merchant::ApiKey;
use payments::{Charge, FindPayments, MovePayment, ReadLedger};
use webhooks::{Merchant, SendWebhook};

/// What the sandbox is told about where it runs.
#[derive(Settings)]
#[setting(check = webhooks_are_signed)]
pub struct SandboxSettings {
    /// Where the ledger is kept: `sqlite://ledger.db`, or `memory:`. It is made when it is not there.
    #[setting(example = "sqlite://ledger.db", check = neuroglia_backing::store::check_url)]
    pub database_url: Url,
    /// What a merchant shows for itself.
    pub api_key: Secret<String>,
    /// Where the merchant hears of its payments; nowhere when not set.
    #[setting(example = "http://127.0.0.1:8000/api/v1/payments/webhook")]
    pub webhook_url: Option<Url>,
    /// What webhooks are signed with; needed with `WEBHOOK_URL`.
    pub webhook_key: Option<Secret<WebhookKey>>,
}

fn webhooks_are_signed(settings: &SandboxSettings, problems: &mut Problems) {
    if settings.webhook_url.is_some() && settings.webhook_key.is_none() {
        problems.add("webhook_key", "must be set when WEBHOOK_URL is");
    }
    if let Some(Err(problem)) = settings.webhook_url.as_ref().map(neuroglia_backing::service::check_url) {
        problems.add("webhook_url", format!("is not valid: {problem}"));
    }
}

/// The whole sandbox.
pub fn app() -> App<SandboxSettings> {
    App::new("payment-sandbox")
        .version(env!("CARGO_PKG_VERSION"))
        .alone()
        .migrations(migrations)
        .services(services)
        .messages(|messages| {
            messages
                .command::<Charge>()
                .command::<MovePayment>()
                .query::<FindPayments>()
                .query::<ReadLedger>()
        })
        .web(gateway::controllers)
        .worker(|worker| worker.job::<SendWebhook>())
}

fn migrations() -> Vec<Migration> {
    vec![Migration {
        version: 1,
        name: "the ledger is opened",
        steps: vec![
            Step::CreateCollection(Payment::COLLECTION),
            Step::CreateIndex(Index {
                collection: Payment::COLLECTION,
                name: "payments_reference",
                paths: vec![REFERENCE.path()],
                unique: false,
            }),
            Step::CreateCollection(Movement::COLLECTION),
        ],
    }]
}

fn services(services: &mut ServiceCollection, settings: &SandboxSettings) {
    let url = settings.database_url.clone();
    services.add(Service::connected::<dyn Store, (Clock,), _, _>(move |(clock,)| async move {
        let store = neuroglia_backing::store::connect(&url).await?;
        // Nobody operates a sandbox: it migrates itself.
        store.migrate(&migrations(), clock.now()).await?;
        Ok(store)
    }));
    services.add_instance(Faults::default());
    services.add(Service::shared::<dyn Authenticator>(Arc::new(ApiKey::new(settings.api_key.clone()))));
    if let (Some(url), Some(key)) = (&settings.webhook_url, &settings.webhook_key) {
        let (options, key) = (ServiceOptions::new("merchant", url.clone()), key.clone());
        services.add(Service::factory::<Merchant, _, _>(Lifetime::Singleton, move |(clock, ids)| {
            Merchant::new(options.clone(), key.clone(), clock, ids).map(Arc::new)
        }));
    }
}
