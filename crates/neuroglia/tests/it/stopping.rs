//! The end of a whole application, from its accept loop to what its services hold.

use std::convert::Infallible;

use axum::response::sse::{Event, Sse};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use neuroglia::App;
use neuroglia::settings::Environment;
use neuroglia::web::{Web, controller};
use neuroglia_core::di::Inject;
use tokio::io::AsyncReadExt;

use super::wire::{Client, soon};

#[derive(Inject)]
struct News {}

#[controller("/news")]
impl News {
    /// What happens.
    #[get("", public)]
    async fn follow(&self) -> Sse<BoxStream<'static, Result<Event, Infallible>>> {
        Sse::new(stream::iter([Ok(Event::default().data("open"))]).chain(stream::pending()).boxed())
    }
}

fn controllers(web: Web) -> Web {
    web.controller::<News>()
}

#[tokio::test]
async fn event_streams_end_when_the_process_begins_to_stop() {
    let app = App::<()>::new("paper").web(controllers);
    let environment = Environment::from_pairs([("PORT", "0"), ("SERVER_HOST", "127.0.0.1")]);
    let running = app.start(&environment).await.expect("it starts");
    let mut client = Client::connect(running.address()).await;
    client.send("GET /news HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let mut seen = Vec::new();
    soon("the first event", async {
        while !String::from_utf8_lossy(&seen).contains("data: open") {
            assert_ne!(client.stream.read_buf(&mut seen).await.expect("no reset"), 0);
        }
    })
    .await;
    let (clean, rest) = tokio::join!(soon("the end", running.stop()), async {
        soon("the end of the stream", client.stream.read_to_end(&mut seen)).await.expect("no reset");
        String::from_utf8(seen).expect("text")
    });
    assert!(clean, "an open event stream is no work that was left undone");
    assert!(rest.contains(": the server is stopping\n\n"), "{rest}");
    assert!(rest.ends_with("0\r\n\r\n"), "the answer is complete: {rest}");
}
