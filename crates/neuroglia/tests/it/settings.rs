//! The application's settings, where they are wanted.

use std::sync::Arc;

use neuroglia::App;
use neuroglia::di::{Inject, ServiceCollection};
use neuroglia::error::Result;
use neuroglia::settings::{Environment, Settings};
use neuroglia::web::{Json, controller};

use super::wire::Client;

#[derive(Settings)]
struct ShopSettings {
    /// What the shop is called.
    #[setting(default = "Mario's")]
    shop_name: String,
}

#[derive(Inject)]
struct Sign {
    settings: Arc<ShopSettings>,
}

#[controller("/sign")]
impl Sign {
    /// What is written over the door.
    #[get("", public)]
    async fn read(&self) -> Result<Json<String>> {
        Ok(Json(self.settings.shop_name.clone()))
    }
}

fn shop() -> App<ShopSettings> {
    App::new("shop").web(|web| web.controller::<Sign>())
}

/// What the sign of the shop says, when the shop is called so.
async fn sign(app: App<ShopSettings>, name: &str) -> String {
    let environment =
        Environment::from_pairs([("PORT", "0"), ("SERVER_HOST", "127.0.0.1"), ("SHOP_NAME", name)]);
    let running = app.start(&environment).await.expect("it starts");
    let answer = Client::connect(running.address()).await.get("/sign").await;
    running.stop().await;
    answer.text().to_owned()
}

#[tokio::test]
async fn a_controller_takes_the_settings() {
    assert_eq!(sign(shop(), "Luigi's").await, "\"Luigi's\"");
}

#[tokio::test]
async fn an_application_that_registers_them_itself_is_not_contradicted() {
    let other = |services: &mut ServiceCollection, _: &ShopSettings| {
        services.add_instance(ShopSettings { shop_name: "Peach's".to_owned() });
    };
    assert_eq!(sign(shop().services(other), "Luigi's").await, "\"Peach's\"");
}
