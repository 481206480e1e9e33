//! What an operator does once; a command sends messages, as everybody does.

mod create_user;
mod export_orders;
mod fix_corrupted_orders;
mod rebuild_statistics;
mod replay_dead_letters;
mod seed;

pub use create_user::CreateUser;
pub use export_orders::ExportOrders;
pub use fix_corrupted_orders::FixCorruptedOrders;
pub use rebuild_statistics::RebuildStatistics;
pub use replay_dead_letters::ReplayDeadLetters;
pub use seed::Seed;

use neuroglia::process::admin::{Admin, ListMail};

/// The pizzeria's admin commands.
pub(crate) fn commands(admin: Admin) -> Admin {
    admin
        .command::<Seed>()
        .command::<CreateUser>()
        .command::<FixCorruptedOrders>()
        .command::<ExportOrders>()
        .command::<ReplayDeadLetters>()
        .command::<ListMail>()
        .command::<RebuildStatistics>()
}
