//! The kitchen: its places, and the queue before it.

mod fix_places;
mod free_place;
mod get_kitchen;
mod get_queue;

pub use fix_places::FixPlaces;
pub use free_place::FreePlace;
pub use get_kitchen::{GetKitchen, KitchenDto};
pub use get_queue::GetKitchenQueue;
