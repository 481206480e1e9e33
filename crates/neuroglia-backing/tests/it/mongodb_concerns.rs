//! What MongoDB is asked for with each command: kept by a majority in their journals, read as a majority has it. Neither
//! can be seen in what a single server does, so it is read on the way there.

use std::sync::{Arc, Mutex};

use neuroglia::clock::Timestamp;
use neuroglia::data::{Batch, Condition, Select, Store};
use neuroglia::work::WorkStore;
use neuroglia_backing::mongodb::driver::bson::{Bson, Document};
use neuroglia_backing::mongodb::{MongoOptions, MongoStore};
use neuroglia_testing::services::Mongo;
use neuroglia_testing::workbench::{asking, named};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{batch, history, order};

/// The bytes before the body of a message, and what says that it is a command.
const HEADER_BYTES: usize = 16;
const OP_MSG: i32 = 2013;

/// The commands that went to a server, oldest first.
type Heard = Arc<Mutex<Vec<Document>>>;

/// Passes everything on to the server; gives the port at which it does.
async fn overhear(server: u16, heard: &Heard) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it has an address").port();
    let heard = Arc::clone(heard);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let to_server = TcpStream::connect(("127.0.0.1", server)).await.expect("the server is there");
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, to_server) = to_server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            let heard = Arc::clone(&heard);
            tokio::spawn(async move {
                let mut to_server = to_server;
                let mut header = [0; HEADER_BYTES];
                while from_client.read_exact(&mut header).await.is_ok() {
                    let number = |at: usize| {
                        i32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes of a header"))
                    };
                    let length = usize::try_from(number(0)).expect("a message has a length");
                    let mut body = vec![0; length - HEADER_BYTES];
                    from_client.read_exact(&mut body).await.expect("a whole message");
                    // After the flags and the kind of the first section.
                    if number(12) == OP_MSG {
                        let command = Document::from_reader(&body[5..]).expect("a command");
                        heard.lock().expect("nobody panicked").push(command);
                    }
                    to_server.write_all(&header).await.expect("the server listens");
                    to_server.write_all(&body).await.expect("the server listens");
                }
            });
        }
    });
    port
}

/// The name of a command.
fn name(command: &Document) -> &str {
    command.keys().next().expect("a command has a name")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_is_kept_by_a_majority_and_what_is_read_was() {
    let server = Mongo::start();
    let heard = Heard::default();
    let port = overhear(server.port(), &heard).await;
    let url = format!("mongodb://127.0.0.1:{port}/shop?directConnection=true");
    let url = url.parse().expect("a URL");
    let store = MongoStore::open(&url, MongoOptions::default()).await.expect("the server is there");
    store.migrate(&history(), Timestamp::UNIX_EPOCH).await.expect("sound migrations are applied");
    let written = Batch { work: vec![named("kind", "first")], ..batch([order("one", "new")]) };
    store.commit(written).await.expect("a batch that breaks no rule is committed");
    store.load("orders", "one").await.expect("it answers").expect("it is there");
    let all = Select { collection: "orders", condition: Condition::All(vec![]), sort: vec![], limit: 10 };
    assert_eq!(store.query(&all).await.expect("it answers").len(), 1);
    let claim = asking(&*store, &["kind"], 10).await;
    assert_eq!(store.claim(&claim).await.expect("work is claimed").len(), 1);
    store.close().await;

    let commands = std::mem::take(&mut *heard.lock().expect("nobody panicked"));
    let (mut commits, mut single, mut read) = (0, 0, 0);
    for command in &commands {
        let is_in_transaction = command.contains_key("autocommit");
        match name(command) {
            "commitTransaction" => commits += 1,
            "insert" | "update" | "delete" | "findAndModify" if !is_in_transaction => single += 1,
            "find" | "aggregate" if !is_in_transaction => {
                let level = command.get_document("readConcern").and_then(|concern| concern.get_str("level"));
                assert_eq!(level.ok(), Some("majority"), "{command}");
                read += 1;
                continue;
            }
            _ if command.get_bool("startTransaction").is_ok_and(|begins| begins) => {
                let level = command.get_document("readConcern").and_then(|concern| concern.get_str("level"));
                assert_eq!(level.ok(), Some("snapshot"), "{command}");
                continue;
            }
            _ => continue,
        }
        let concern = command.get_document("writeConcern").ok();
        let part = |name: &str| concern.and_then(|concern| concern.get(name));
        assert_eq!(part("w"), Some(&Bson::from("majority")), "{command}");
        assert_eq!(part("j"), Some(&Bson::from(true)), "{command}");
    }
    assert!(commits > 0 && single > 0 && read > 0, "{commits} commits, {single} writes, {read} reads");
}
