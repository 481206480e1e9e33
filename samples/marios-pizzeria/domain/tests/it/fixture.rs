//! A menu, a customer and orders to test with.

use neuroglia::clock::Timestamp;
use neuroglia::domain::Aggregate;
use neuroglia::id::Ids;
use pizzeria_domain::customer::{Contact, ContactDraft};
use pizzeria_domain::menu::{Pizza, house_menu};
use pizzeria_domain::money::{Currency, Money};
use pizzeria_domain::order::{
    LineDraft, Order, OrderDraft, OrderStatus, PaymentDraft, PaymentMethod, PaymentStatus,
};
use pizzeria_domain::stamp::Stamp;
use pizzeria_domain::user::UserId;

pub(crate) fn user(id: &str) -> UserId {
    id.parse().expect("a user id")
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_micros(second * 1_000_000)
}

pub(crate) fn stamp(second: i64) -> Stamp {
    Stamp::by(user("manager-1"), at(second))
}

pub(crate) fn usd(text: &str) -> Money {
    Money::parse(text, Currency::USD).expect("an amount")
}

pub(crate) fn menu() -> Vec<Pizza> {
    house_menu(Currency::USD)
        .into_iter()
        .map(|draft| Pizza::create(draft, stamp(0)).expect("a right draft"))
        .collect()
}

pub(crate) fn contact() -> Contact {
    let draft = ContactDraft {
        name: Some("Ada Canary".to_owned()),
        phone: Some("+1 555 0100".to_owned()),
        email: Some("ada@example.com".to_owned()),
        address: Some("1 Main St".to_owned()),
    };
    draft.into_delivery_contact("/customer").expect("a right draft")
}

pub(crate) fn line(pizza_id: &str, size: &str, toppings: &[&str], quantity: i64) -> LineDraft {
    LineDraft {
        pizza_id: pizza_id.to_owned(),
        size: size.to_owned(),
        toppings: toppings.iter().map(|name| (*name).to_owned()).collect(),
        quantity,
    }
}

pub(crate) fn cash_draft(lines: Vec<LineDraft>) -> OrderDraft {
    OrderDraft { lines, payment: paying("cash", None), notes: Some("ring twice".to_owned()) }
}

pub(crate) fn paying(method: &str, source: Option<&str>) -> PaymentDraft {
    PaymentDraft { payment_method: method.to_owned(), payment_source: source.map(str::to_owned) }
}

pub(crate) fn placed(draft: OrderDraft) -> Order {
    let ids = Ids::sequence();
    let priced = draft.priced(&menu(), &PaymentMethod::ALL, &ids).expect("a right draft");
    let digest = Some("digest-canary".to_owned());
    Order::place(ids.next(), ids.next(), contact(), priced, digest, Stamp::anonymous(at(0)))
}

/// An order in cash that has come to this status by its own steps, and has told its events.
pub(crate) fn order_in(status: OrderStatus) -> Order {
    let mut order = placed(cash_draft(vec![line("margherita", "medium", &["olives"], 2)]));
    if status == OrderStatus::Cancelled {
        order.cancel("no appetite", stamp(1)).expect("pending");
    } else {
        let steps =
            [Order::confirm, Order::start_cooking, Order::mark_ready, Order::start_delivery, Order::complete];
        for (step, second) in steps.into_iter().zip(1..) {
            if order.status() == status {
                break;
            }
            step(&mut order, stamp(second)).expect("the next step");
        }
    }
    assert_eq!(order.status(), status);
    order.take_events();
    order
}

/// An order by card whose payment has come to this state.
pub(crate) fn card_order_in(payment: PaymentStatus) -> Order {
    let draft = OrderDraft {
        payment: paying("credit_card", Some("tok_visa")),
        ..cash_draft(vec![line("margherita", "small", &[], 1)])
    };
    let mut order = placed(draft);
    order.record_payment(payment, Some("pay-1".to_owned()), stamp(1)).expect("one answer of the gateway");
    order.take_events();
    order
}

pub(crate) fn event_names(order: &mut Order) -> Vec<&'static str> {
    order.take_events().iter().map(|event| event.name()).collect()
}

pub(crate) fn document(order: &Order) -> serde_json::Value {
    serde_json::to_value(order).expect("a document")
}
