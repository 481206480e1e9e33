//! What keeps an application from booting, found before a port is bound.

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderValue;
use neuroglia::auth::{Authentication, Authenticator};
use neuroglia::di::{Inject, ServiceCollection};
use neuroglia::domain::DomainEvent;
use neuroglia::error::Result;
use neuroglia::fault::{Area, Faults};
use neuroglia::health::{Details, Indicator};
use neuroglia::identity::Identity;
use neuroglia::mediation::EventHandler;
use neuroglia::settings::Environment;
use neuroglia::web::{Injected, Web, controller};
use neuroglia::work::Consumer;
use neuroglia::{App, StartError};
use serde::{Deserialize, Serialize};

async fn faults_of(app: App) -> Faults {
    let environment = Environment::from_pairs([("PORT", "0"), ("SERVER_HOST", "127.0.0.1")]);
    match app.start(&environment).await {
        Err(StartError::Faults(faults)) => faults,
        Err(StartError::Failed(error)) => panic!("it failed, and was not judged: {error}"),
        Ok(running) => panic!("it started at {}", running.address()),
    }
}

#[derive(Inject)]
#[provides(dyn Authenticator)]
struct Doorman {}

impl Authenticator for Doorman {
    fn authenticate<'a>(&'a self, _: Option<&'a HeaderValue>) -> Authentication<'a> {
        Authentication::ready(Ok(Identity::anonymous()))
    }
}

#[derive(Inject)]
#[provides(dyn Indicator)]
struct Gauge {}

#[async_trait]
impl Indicator for Gauge {
    fn name(&self) -> &'static str {
        "gauge"
    }

    fn kind(&self) -> &'static str {
        "test"
    }

    async fn check(&self) -> Result<Details> {
        Ok(Details::new())
    }
}

#[tokio::test]
async fn what_the_host_keeps_may_not_live_for_one_scope() {
    let app = App::new("shop").services(|services: &mut ServiceCollection, &()| {
        services.add_scoped::<dyn Authenticator, Doorman>();
        services.add_scoped::<dyn Indicator, Gauge>();
    });
    let faults = faults_of(app).await;
    let found: Vec<_> = faults.iter().map(|fault| (fault.area, fault.code)).collect();
    assert_eq!(found, [(Area::Services, "captive"); 2], "{faults}");
    for what in ["WebHost → dyn Authenticator", "WebHost → dyn Indicator"] {
        assert!(faults.to_string().contains(what), "{faults}");
    }
}

/// Nobody registers it.
struct Oven;

#[derive(Inject)]
struct Kitchen {}

#[controller("/kitchen")]
impl Kitchen {
    #[get("/", public)]
    async fn show(&self, _: Injected<Arc<Oven>>, _: Injected<Identity>) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_an_action_has_injected_is_checked_at_boot() {
    let faults = faults_of(App::new("shop").web(|web: Web| web.controller::<Kitchen>())).await;
    assert_eq!(faults.iter().count(), 1, "{faults}");
    assert!(faults.to_string().contains("`Arc<Oven>` needs `Oven`, which is not registered"), "{faults}");
}

macro_rules! events {
    ($($event:ident = $name:literal, handled by $handler:ident;)*) => {$(
        #[derive(Serialize, Deserialize)]
        struct $event {}

        impl DomainEvent for $event {
            const NAME: &'static str = $name;
        }

        #[derive(Inject)]
        struct $handler {}

        impl EventHandler<$event> for $handler {
            async fn handle(&self, _: &$event) -> Result<()> {
                Ok(())
            }
        }
    )*};
}

events! {
    Opened = "io.shop.shop.opened", handled by OnOpened;
    Closed = "io.shop.shop.closed", handled by OnClosed;
    // What the types of another application begin with, and what only looks like it.
    Rained = "io.weather.rained", handled by OnRained;
    Shopped = "io.shopping.done", handled by OnShopped;
}

#[tokio::test]
async fn the_name_of_an_event_does_not_repeat_what_its_type_begins_with() {
    let app = App::new("shop")
        .messages(|messages| {
            messages.event::<Opened, OnOpened>().event::<Rained, OnRained>().event::<Shopped, OnShopped>()
        })
        .worker(|worker| {
            let consumer = Consumer::new("bell").on::<Opened, OnOpened>().on::<Closed, OnClosed>();
            worker.consumer(consumer.on::<Rained, OnRained>())
        });
    let faults = faults_of(app).await;
    let found: Vec<_> = faults.iter().map(|fault| (fault.code, &*fault.at, &*fault.fix)).collect();
    let expected = [
        ("event_name", "io.shop.shop.closed", "name it `shop.closed`"),
        ("event_name", "io.shop.shop.opened", "name it `shop.opened`"),
    ];
    assert_eq!(found, expected, "{faults}");
}
