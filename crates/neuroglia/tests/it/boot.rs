//! What keeps an application from booting, found before a port is bound.

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderValue;
use neuroglia::auth::{Authentication, Authenticator};
use neuroglia::di::{Inject, ServiceCollection};
use neuroglia::error::Result;
use neuroglia::fault::{Area, Faults};
use neuroglia::health::{Details, Indicator};
use neuroglia::identity::Identity;
use neuroglia::settings::Environment;
use neuroglia::web::{Injected, Web, controller};
use neuroglia::{App, StartError};

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
