//! Two versions of one controller, side by side.

use neuroglia::App;
use neuroglia::settings::Environment;
use neuroglia::web::Web;
use serde_json::Value;

use super::wire::Client;

mod v1 {
    use neuroglia::di::Inject;
    use neuroglia::error::Result;
    use neuroglia::web::{Json, Path, controller};

    #[derive(Inject)]
    pub(super) struct Pizzas {}

    #[controller("/api/v1/pizzas")]
    impl Pizzas {
        /// One pizza.
        #[get("/{id}", public)]
        async fn show(&self, Path(id): Path<String>) -> Result<Json<String>> {
            Ok(Json(format!("{id} of the first")))
        }
    }
}

mod v2 {
    use neuroglia::di::Inject;
    use neuroglia::error::Result;
    use neuroglia::web::{Json, NoContent, Path, controller};

    #[derive(Inject)]
    pub(super) struct Pizzas {}

    #[controller("/api/v2/pizzas")]
    impl Pizzas {
        /// One pizza.
        #[get("/{id}", public)]
        async fn show(&self, Path(id): Path<String>) -> Result<Json<String>> {
            Ok(Json(format!("{id} of the second")))
        }

        /// Take a pizza from the menu.
        #[delete("/{id}", public)]
        async fn remove(&self, Path(_): Path<String>) -> Result<NoContent> {
            Ok(NoContent)
        }
    }
}

fn both(web: Web) -> Web {
    web.controller::<v1::Pizzas>().controller::<v2::Pizzas>()
}

#[tokio::test]
async fn equal_paths_under_two_prefixes_do_not_interfere() {
    let environment = Environment::from_pairs([("PORT", "0"), ("SERVER_HOST", "127.0.0.1")]);
    let running = App::<()>::new("shop").web(both).start(&environment).await.expect("it starts");
    let mut client = Client::connect(running.address()).await;
    assert_eq!(client.get("/api/v1/pizzas/7").await.text(), "\"7 of the first\"");
    assert_eq!(client.get("/api/v2/pizzas/7").await.text(), "\"7 of the second\"");

    client.send("DELETE /api/v1/pizzas/7 HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    let refused = client.reply().await;
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET,HEAD")));
    client.send("DELETE /api/v2/pizzas/7 HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    assert_eq!(client.reply().await.status, 204);
    client.send("PUT /api/v2/pizzas/7 HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n").await;
    let refused = client.reply().await;
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET,HEAD,DELETE")));

    let document: Value = serde_json::from_str(client.get("/openapi.json").await.text()).expect("JSON");
    let id =
        |version: &str| &document["paths"][format!("/api/{version}/pizzas/{{id}}")]["get"]["operationId"];
    assert!(id("v1").is_string() && id("v1") != id("v2"), "{} {}", id("v1"), id("v2"));
    running.stop().await;
}
