//! Commands that add SQL of their own to what they commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use neuroglia::data::{self, Change, Repository, Store, UnitOfWork, Write};
use neuroglia::di::{Inject, Service, ServiceCollection, Services};
use neuroglia::domain::{Aggregate, Root};
use neuroglia::error::Result;
use neuroglia::mediation::{Command, CommandHandler, Mediator, Messages};
use neuroglia_backing::sqlite::{self, SqliteStore, sqlx};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::support::batch;

#[derive(Serialize, Deserialize)]
struct Order {
    number: String,
    status: String,
    #[serde(skip)]
    root: Root,
}

impl Aggregate for Order {
    type Id = String;
    const COLLECTION: &'static str = "orders";

    fn id(&self) -> &String {
        &self.number
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}

/// Has an order cooked, and counts the sale in a table of its own. The first runs are overtaken by somebody else.
#[derive(Clone)]
struct Cook {
    overtaken: u32,
}

impl Command for Cook {
    type Response = ();
    type Handler = CookHandler;
}

#[derive(Inject)]
struct CookHandler {
    orders: Repository<Order>,
    work: Arc<UnitOfWork>,
    store: Arc<dyn Store>,
    runs: Arc<AtomicU32>,
}

impl CommandHandler<Cook> for CookHandler {
    async fn handle(&self, command: Cook) -> Result<()> {
        let run = self.runs.fetch_add(1, Ordering::SeqCst);
        let id = "o-1".to_owned();
        let mut order = self.orders.get(&id).await?.expect("it was placed");
        self.work.native(sqlite::ENGINE, sale())?;
        if run < command.overtaken {
            let expected = order.root.stored_version().expect("it was stored");
            let body = serde_json::to_string(&order).expect("it is plain data");
            let change = Change::Update { expected, body };
            self.store.commit(batch([Write { collection: Order::COLLECTION, id, change }])).await?;
        }
        order.status = "cooking".to_owned();
        self.orders.save(&mut order)
    }
}

fn sale() -> sqlite::SqliteStep {
    sqlite::statement(|connection| {
        Box::pin(async move {
            let sale = "INSERT INTO sales VALUES ('margherita', 1) ON CONFLICT (pizza) DO UPDATE SET sold = sold + 1";
            sqlx::query(sale).execute(connection).await.map_err(sqlite::error)?;
            Ok(())
        })
    })
}

async fn kitchen() -> (Services, Arc<SqliteStore>, TempDir) {
    let (store, folder) = crate::support::orders().await;
    let order = r#"{"number":"o-1","status":"new"}"#.to_owned();
    let change = Change::Insert { body: order };
    let placed = Write { collection: Order::COLLECTION, id: "o-1".to_owned(), change };
    store.commit(batch([placed])).await.expect("a batch that breaks no rule is committed");
    let mut services = ServiceCollection::new();
    services.add(Service::shared::<dyn Store>(Arc::clone(&store) as _)).add_instance(AtomicU32::new(0));
    data::register(&mut services);
    Messages::default().command::<Cook>().register(&mut services);
    (services.build().expect("it holds").start().await.expect("it starts"), store, folder)
}

/// What a statement that gives one number gives on the connection that writes.
async fn number(store: &SqliteStore, sql: &'static str) -> i64 {
    let (sender, number) = oneshot::channel();
    let step = sqlite::statement(move |connection| {
        Box::pin(async move {
            let found: i64 = sqlx::query_scalar(sql).fetch_one(connection).await.map_err(sqlite::error)?;
            sender.send(found).map_err(|_| neuroglia::error::Error::internal("nobody listens"))
        })
    });
    let mut batch = batch([]);
    batch.native.push(data::NativeStep { engine: sqlite::ENGINE, step: Box::new(step) });
    store.commit(batch).await.expect("it only reads");
    number.await.expect("it was sent")
}

#[tokio::test]
async fn own_statements_are_committed_with_the_command_once_however_often_it_runs() {
    for overtaken in [0, 2] {
        let (services, store, _folder) = kitchen().await;
        let scope = services.scope();
        let mediator: Mediator = scope.inject().expect("it is there");
        mediator.send(Cook { overtaken }).await.expect("the last run succeeds");
        let runs = services.get::<AtomicU32>().expect("it is there").load(Ordering::SeqCst);
        assert_eq!(runs, overtaken + 1);
        assert_eq!(number(&store, "SELECT sold FROM sales").await, 1, "after {runs} runs");
        let order = store.load(Order::COLLECTION, "o-1").await.expect("it is read").expect("it is there");
        assert!(order.body.contains("cooking"), "{}", order.body);
    }
}

#[tokio::test]
async fn what_is_committed_is_on_the_disk_and_keeps_its_references() {
    const FULL: i64 = 2;
    let (store, _folder) = crate::support::orders().await;
    let settings =
        async || (number(&store, "PRAGMA synchronous").await, number(&store, "PRAGMA foreign_keys").await);
    assert_eq!(settings().await, (FULL, 1));
    // Taking and giving back a key do not wait for the disk; what comes after them does again.
    let reserve = data::Reserve {
        key: "k".to_owned(),
        fingerprint: "f".to_owned(),
        token: "t".to_owned(),
        hold: std::time::Duration::from_secs(60),
    };
    assert_eq!(store.reserve(&reserve).await.expect("it answers"), data::Reservation::Taken);
    assert_eq!(settings().await, (FULL, 1));
    store.release("k", "t").await.expect("it answers");
    assert_eq!(settings().await, (FULL, 1));
    store.purge_expired(10).await.expect("it answers");
    assert_eq!(settings().await, (FULL, 1));
}
