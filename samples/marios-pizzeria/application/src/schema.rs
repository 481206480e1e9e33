//! The schema's history. A released migration is never changed, only followed by another.

use neuroglia::cache::StoredEntries;
use neuroglia::data::{Index, Migration, Step};
use neuroglia::domain::Aggregate;
use neuroglia::mail::OutgoingMail;
use pizzeria_domain::customer::Customer;
use pizzeria_domain::menu::Pizza;
use pizzeria_domain::notification::Notification;
use pizzeria_domain::order::Order;
use pizzeria_domain::user::User;

/// The pizzeria's migrations, in order.
pub fn migrations() -> Vec<Migration> {
    vec![
        opening(),
        seedings(),
        ownership(),
        mail(),
        statistics(),
        feed(),
        payments(),
        keeping(),
        mail_is_sent(),
    ]
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

/// What an account may see is what it placed, and not what has its telephone number.
fn ownership() -> Migration {
    Migration {
        version: 3,
        name: "an order belongs to whoever placed it",
        steps: vec![
            Step::DropIndex("orders_customer"),
            on_sqlite(
                "UPDATE orders SET body = json_set(body, '$.placed_by', json_extract(body, '$.history[0].by'))",
            ),
            index("orders", "orders_placed_by", vec![Order::PLACED_BY_PATH]),
            Step::DropIndex("notifications_customer"),
            on_sqlite(
                "UPDATE notifications SET body = json_set(body, '$.user_id', (
                     SELECT json_extract(orders.body, '$.placed_by') FROM orders
                     WHERE orders.id = json_extract(notifications.body, '$.order_id')
                 ))",
            ),
            // An account had the orders of guests with its telephone number under way.
            on_sqlite(
                "UPDATE customers SET body = json_set(body, '$.active_orders', (
                     SELECT json_group_array(active.value) FROM json_each(customers.body, '$.active_orders') AS active
                     JOIN orders ON orders.id = active.value
                     WHERE json_extract(orders.body, '$.placed_by') IS json_extract(customers.body, '$.user_id')
                 ))",
            ),
            index("notifications", "notifications_user", vec![Notification::USER_ID_PATH]),
        ],
    }
}

/// Mail waits in the store until somebody sends it.
fn mail() -> Migration {
    Migration {
        version: 4,
        name: "mail waits to be sent",
        steps: vec![
            Step::CreateCollection(OutgoingMail::COLLECTION),
            index(OutgoingMail::COLLECTION, "outgoing_mail_state", vec![OutgoingMail::STATE_PATH]),
        ],
    }
}

/// The statistics are books of their own; `admin rebuild-statistics` enters the orders that were there before.
fn statistics() -> Migration {
    Migration {
        version: 5,
        name: "the statistics have books of their own",
        steps: vec![
            Step::CreateCollection("statistics_editions"),
            Step::CreateCollection("statistics_entries"),
            index("statistics_entries", "statistics_entries_edition", vec!["edition"]),
            Step::CreateCollection("statistics_tallies"),
            index("statistics_tallies", "statistics_tallies_day", vec!["edition", "day"]),
        ],
    }
}

/// What happens to orders is kept for a while, for those who follow live.
fn feed() -> Migration {
    Migration {
        version: 6,
        name: "orders can be followed live",
        steps: vec![
            Step::CreateCollection("feed_entries"),
            index("feed_entries", "feed_entries_number", vec!["number"]),
            index("feed_entries", "feed_entries_owner", vec!["owner", "number"]),
            index("feed_entries", "feed_entries_at", vec!["at"]),
            Step::CreateCollection("feed_heads"),
        ],
    }
}

/// Which webhooks of the payment gateway were heard.
fn payments() -> Migration {
    Migration {
        version: 7,
        name: "cards are taken",
        steps: vec![
            Step::CreateCollection("payment_webhooks"),
            index("payment_webhooks", "payment_webhooks_at", vec!["at"]),
        ],
    }
}

/// What was cached of the menu is told by its edition; sessions and shared limits are kept where no cache is shared.
fn keeping() -> Migration {
    let editions = Step::CreateCollection("menu_editions");
    let entries = StoredEntries::steps();
    Migration {
        version: 8,
        name: "the menu has editions, and sessions are kept",
        steps: [editions].into_iter().chain(entries).collect(),
    }
}

/// What was sent is found when its time is over.
fn mail_is_sent() -> Migration {
    Migration {
        version: 9,
        name: "mail that was sent is forgotten",
        steps: vec![index(
            OutgoingMail::COLLECTION,
            "outgoing_mail_sent_at",
            vec![OutgoingMail::SENT_AT_PATH],
        )],
    }
}

/// A store in memory begins with the whole history, and has nothing to rewrite.
fn on_sqlite(statement: &'static str) -> Step {
    Step::Sql { engine: "sqlite", statement }
}

fn index(collection: &'static str, name: &'static str, paths: Vec<&'static str>) -> Step {
    Step::CreateIndex(Index { collection, name, paths, unique: false })
}

fn unique(collection: &'static str, name: &'static str, paths: Vec<&'static str>) -> Step {
    Step::CreateIndex(Index { collection, name, paths, unique: true })
}
