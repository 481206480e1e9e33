//! The tests of the test tools.

mod broken_caches;
mod broken_stores;
mod broken_work;
mod claimer;
mod heart;
mod illness;
mod relay;
mod services;
mod voice;
