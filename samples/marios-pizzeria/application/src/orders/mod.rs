//! Orders: placed, followed, and brought step by step to the door.

mod access;
mod advance_order;
mod assign_driver;
mod cancel_order;
mod expire_unpaid_orders;
mod export_orders;
mod fix_corrupted_orders;
mod get_order;
mod list_deliveries;
mod list_orders;
mod log;
mod mark_late_orders;
mod order_dto;
mod pay_otherwise;
mod place_order;
mod tracking;

pub use access::Access;
pub use advance_order::AdvanceOrder;
pub use assign_driver::AssignDriver;
pub use cancel_order::CancelOrder;
pub use expire_unpaid_orders::{ExpireEveryMinute, ExpireUnpaidOrders};
pub use export_orders::ExportOrders;
pub use fix_corrupted_orders::{CorruptedOrders, FixCorruptedOrders};
pub use get_order::GetOrder;
pub use list_deliveries::ListDeliveries;
pub use list_orders::ListOrders;
pub use log::LogOrders;
pub use mark_late_orders::{MarkLateEveryMinute, MarkLateOrders};
pub use order_dto::{HistoryDto, LineDto, OrderCustomerDto, OrderDto, PaymentDto, PlacedOrderDto};
pub use pay_otherwise::PayOtherwise;
pub use place_order::{PlaceContact, PlaceLine, PlaceOrder};
pub use tracking::TrackingToken;

use neuroglia::data::Field;
use pizzeria_domain::order::Order;

/// The status of an order, for queries.
pub(crate) const STATUS: Field<Order, String> = Field::new(Order::STATUS_PATH);
