//! The tests of the test tools.

mod broken_answers;
mod broken_buses;
mod broken_caches;
mod broken_mail_servers;
mod broken_stores;
mod broken_work;
mod claimer;
mod heart;
mod illness;
mod planner;
mod relay;
mod services;
mod voice;
