//! Mail as operators and developers read it: what waits, what is under way, what was sent, what has failed.

use clap::Args;
use neuroglia_core::data::{Filter, Query, Repository};
use neuroglia_core::error::{Error, Result};
use neuroglia_core::mail::{MailState, Message, OutgoingMail};
use serde_json::json;

use super::{AdminCommand, AdminContext};

/// Lists the mail that the store keeps, newest first, as one JSON object a line.
///
/// Where no mail server is attached, as in development, this is where mail can be read. An application that sends mail
/// lists the command.
#[derive(Debug, Args)]
pub struct ListMail {
    /// Only what is waiting, queued, sent or failed
    #[arg(long)]
    state: Option<MailState>,
    /// Only to this address
    #[arg(long)]
    to: Option<String>,
    /// At most so many of the newest
    #[arg(long, default_value_t = 20)]
    limit: u32,
}

impl AdminCommand for ListMail {
    const NAME: &'static str = "mail";
    const ABOUT: &'static str =
        "List the mail that waits, is under way, was sent or has failed, with what it says";

    async fn run(self, context: &AdminContext) -> Result<()> {
        let outgoing: Repository<OutgoingMail> = context.inject()?;
        let state = self.state.map(|state| OutgoingMail::STATE.eq(state.as_str()));
        let to = self.to.map(|to| OutgoingMail::TO.eq(to));
        let chosen = [state, to].into_iter().flatten().fold(Filter::everything(), Filter::and);
        let query = Query::filter(chosen).descending(OutgoingMail::AT).limit(self.limit);
        for mail in outgoing.find(query).await?.items {
            let Message { message_id, from, to, subject, text, written_at, .. } = mail.message();
            let line = json!({
                "message_id": message_id, "state": mail.state(), "written_at": written_at,
                "from": from, "to": to, "subject": subject, "text": text,
            });
            context.print(&serde_json::to_string(&line).map_err(Error::internal)?)?;
        }
        Ok(())
    }
}
