//! Have failed work tried again.

use neuroglia::error::Result;
use neuroglia::process::admin::{AdminCommand, AdminContext, clap, revise_all};
use neuroglia::work::{Revision, WorkClass, WorkFilter, WorkState};

/// Has every event tried again that a consumer failed at for good; `admin dead-letters` chooses among them.
#[derive(Debug, clap::Args)]
pub struct ReplayDeadLetters {
    /// Only those of this consumer, such as notifications.
    #[arg(long)]
    pub consumer: Option<String>,
}

impl AdminCommand for ReplayDeadLetters {
    const NAME: &'static str = "replay-dead-letters";
    const ABOUT: &'static str = "Have every event tried again that a consumer failed at for good";

    async fn run(self, context: &AdminContext) -> Result<()> {
        let dead = WorkFilter {
            class: Some(WorkClass::Delivery),
            states: vec![WorkState::Dead, WorkState::Parked],
            kind: self.consumer,
            ..WorkFilter::default()
        };
        let replayed = revise_all(context, dead, &Revision::Replay).await?;
        context.print(&format!("replayed {replayed}"))
    }
}
