//! What happens to orders, for those who follow live.

mod entry;

mod keep_event;
mod number_events;
mod read_feed;
mod trim_feed;

pub use keep_event::KeepEvent;
pub use number_events::NumberEvents;
pub use read_feed::{FeedEventDto, Following, ReadFeed};
pub use trim_feed::{TrimEveryMinute, TrimFeed};
