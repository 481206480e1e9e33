//! The HTTP API of Mario's Pizzeria, under `/api/v1`, and the ingestion of events: thin controllers that decode, send, and encode.

mod auth;
mod customers;
mod deliveries;
mod events;
mod kitchen;
mod menu;
mod orders;
mod paging;
mod payments;
mod statistics;

pub use auth::LoginLimits;
pub use events::{StreamLimits, Streams};
pub use payments::GatewayKey;

use neuroglia::web::{EventIngestion, Web};

/// Every controller of the pizzeria.
pub fn controllers(web: Web) -> Web {
    web.session_cookies()
        .controller::<auth::AuthController>()
        .controller::<menu::MenuController>()
        .controller::<orders::OrdersController>()
        .controller::<kitchen::KitchenController>()
        .controller::<deliveries::DeliveriesController>()
        .controller::<customers::MeController>()
        .controller::<statistics::StatisticsController>()
        .controller::<events::EventsController>()
        .controller::<payments::PaymentsController>()
        .controller::<EventIngestion>()
}
