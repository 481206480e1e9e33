//! The kitchen: its places, and the queue before it.

mod free_slot;
mod get_kitchen;
mod get_queue;

pub use free_slot::FreeSlot;
pub use get_kitchen::{GetKitchen, KitchenDto};
pub use get_queue::GetKitchenQueue;
