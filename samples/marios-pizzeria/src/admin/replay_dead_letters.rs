//! Have failed work tried again.

use clap::Args;
use neuroglia::data::Store;
use neuroglia::error::Result;
use neuroglia::messaging::Wake;
use neuroglia::process::admin::{AdminCommand, AdminContext};
use neuroglia::work::{Revision, WorkClass, WorkFilter, WorkState};

/// How many pieces of work are read in one go.
const PAGE: u32 = 500;

/// Has every event tried again that a consumer failed at for good; `admin dead-letters` chooses among them.
#[derive(Debug, Args)]
pub struct ReplayDeadLetters {
    /// Only those of this consumer, such as notifications.
    #[arg(long)]
    pub consumer: Option<String>,
}

impl AdminCommand for ReplayDeadLetters {
    const NAME: &'static str = "replay-dead-letters";
    const ABOUT: &'static str = "Have every event tried again that a consumer failed at for good";

    async fn run(self, context: &AdminContext) -> Result<()> {
        let store = context.scope().get::<dyn Store>()?;
        let mut dead = WorkFilter {
            class: Some(WorkClass::Delivery),
            states: vec![WorkState::Dead, WorkState::Parked],
            kind: self.consumer,
            limit: PAGE,
            ..WorkFilter::default()
        };
        // First all, then each: what fails again at once is not replayed again.
        let mut chosen = Vec::new();
        loop {
            let page = store.list_work(&dead).await?;
            let Some(last) = page.last() else { break };
            dead.after = last.seq;
            chosen.extend(page.iter().map(|record| record.id));
        }
        let wake = context.scope().get::<Wake>()?;
        let mut replayed = 0;
        for id in chosen {
            replayed += u32::from(store.revise(id, &Revision::Replay).await?);
            wake.work();
        }
        context.print(&format!("replayed {replayed}"))
    }
}
