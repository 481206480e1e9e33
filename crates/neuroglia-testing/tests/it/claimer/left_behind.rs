//! What a handler spawned and left behind: it hears that its attempt is over, however that ended.

use neuroglia::work::Run;

use super::*;

/// What simmers in a kitchen.
#[derive(Default)]
struct Stove {
    pots: AtomicU32,
    taken_off: AtomicU32,
}

impl Stove {
    fn pots(&self) -> u32 {
        self.pots.load(Ordering::SeqCst)
    }

    fn taken_off(&self) -> u32 {
        self.taken_off.load(Ordering::SeqCst)
    }
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Ending {
    Well,
    Badly,
    InPanic,
    InConflict,
    Never,
}

/// Puts a pot on the stove, which simmers until somebody says that it is over.
#[derive(Serialize, Deserialize)]
struct Simmer {
    ending: Ending,
}

impl Job for Simmer {
    const KIND: &'static str = "simmer";
    const ATTEMPTS_MAX: u32 = 1;
    const TIMEOUT: Duration = Duration::from_secs(2);
    type Output = ();
    type Handler = Cook;
}

#[derive(Inject)]
struct Cook {
    stove: Arc<Stove>,
    run: Run,
}

impl JobHandler<Simmer> for Cook {
    async fn run(&self, job: Simmer) -> Result<()> {
        let (stove, over) = (Arc::clone(&self.stove), self.run.cancelled()?.clone());
        stove.pots.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            over.cancelled().await;
            stove.taken_off.fetch_add(1, Ordering::SeqCst);
        });
        match job.ending {
            Ending::Well => Ok(()),
            Ending::Badly => Err(Error::unavailable("the salt is gone")),
            Ending::InPanic => panic!("the cook fell"),
            Ending::InConflict => Err(Error::duplicate("pots", "place")),
            Ending::Never => std::future::pending().await,
        }
    }
}

/// A kitchen with one pot that will end so.
async fn simmering(ending: Ending) -> (App, Arc<Stove>) {
    let stove = Arc::new(Stove::default());
    let app = App::with(Worker::new().job::<Simmer>(), 1, |services| {
        services.add(Service::shared(Arc::clone(&stove)));
    })
    .await;
    app.ask(&Simmer { ending }).await;
    app.until("a pot", SOON, async |_| stove.pots() > 0).await;
    (app, stove)
}

#[tokio::test(start_paused = true)]
async fn what_outlives_an_attempt_that_takes_too_long_is_told_then_and_not_before() {
    let (app, stove) = simmering(Ending::Never).await;
    sleep(Simmer::TIMEOUT / 2).await;
    assert_eq!(stove.taken_off(), 0, "the attempt is not over");
    app.until("the end", Simmer::TIMEOUT, async |app| app.work(WorkState::Dead).await.len() == 1).await;
    app.until("the pot is taken off", SOON, async |_| stove.taken_off() == 1).await;
    let dead = app.work(WorkState::Dead).await.remove(0);
    assert!(dead.failures[0].error.contains("longer than 2s"), "{dead:?}");
}

#[tokio::test(start_paused = true)]
async fn what_outlives_its_attempt_is_told_however_that_ends() {
    let endings = [(Ending::Well, 1), (Ending::Badly, 1), (Ending::InPanic, 1), (Ending::InConflict, 3)];
    for (ending, pots) in endings {
        let (app, stove) = simmering(ending).await;
        app.until("the end", SOON, async |app| app.work(WorkState::Running).await.is_empty()).await;
        app.until("every pot is taken off", SOON, async |_| stove.taken_off() == pots).await;
        assert_eq!(stove.pots(), pots, "{ending:?}");
    }
}
