//! Customers: who they are, what they ordered, and what they are told.

mod get_my_profile;
mod keep_active_orders;
mod list_my_notifications;
mod list_my_orders;
mod notifications;
mod notify_customer;
mod register;
mod update_my_profile;

pub use get_my_profile::{GetMyProfile, ProfileDto};
pub use keep_active_orders::KeepActiveOrders;
pub use list_my_notifications::{ListMyNotifications, NotificationDto};
pub use list_my_orders::ListMyOrders;
pub use notifications::{DismissNotification, ReadNotification};
pub use notify_customer::NotifyCustomer;
pub use register::Register;
pub use update_my_profile::{ContactBody, UpdateMyProfile};
