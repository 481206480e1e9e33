//! The schema's history. A released migration is never changed, only followed by another.

use neuroglia::data::{Index, Migration, Step};
use pizzeria_domain::customer::Customer;
use pizzeria_domain::menu::Pizza;
use pizzeria_domain::notification::Notification;
use pizzeria_domain::order::Order;
use pizzeria_domain::user::User;

/// The pizzeria's migrations, in order.
pub fn migrations() -> Vec<Migration> {
    vec![opening(), seedings()]
}

fn opening() -> Migration {
    Migration {
        version: 1,
        name: "the pizzeria opens",
        steps: vec![
            Step::CreateCollection("pizzas"),
            unique("pizzas", "pizzas_name", vec![Pizza::NAME_KEY_PATH]),
            Step::CreateCollection("customers"),
            unique("customers", "customers_phone", vec![Customer::PHONE_PATH]),
            unique("customers", "customers_user", vec![Customer::USER_ID_PATH]),
            Step::CreateCollection("orders"),
            index("orders", "orders_customer", vec![Order::CUSTOMER_ID_PATH]),
            index("orders", "orders_status", vec![Order::STATUS_PATH, Order::CONFIRMED_AT_PATH]),
            Step::CreateCollection("kitchens"),
            Step::CreateCollection("notifications"),
            index("notifications", "notifications_customer", vec![Notification::CUSTOMER_ID_PATH]),
            Step::CreateCollection("users"),
            unique("users", "users_username", vec![User::USERNAME_PATH]),
        ],
    }
}

/// What was taken off the menu stays off.
fn seedings() -> Migration {
    Migration { version: 2, name: "seedings are remembered", steps: vec![Step::CreateCollection("seedings")] }
}

fn index(collection: &'static str, name: &'static str, paths: Vec<&'static str>) -> Step {
    Step::CreateIndex(Index { collection, name, paths, unique: false })
}

fn unique(collection: &'static str, name: &'static str, paths: Vec<&'static str>) -> Step {
    Step::CreateIndex(Index { collection, name, paths, unique: true })
}
