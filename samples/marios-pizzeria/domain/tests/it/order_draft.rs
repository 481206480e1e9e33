//! What is refused when an order is placed, and what an order keeps of it.

use neuroglia::domain::Aggregate;
use neuroglia::error::{Error, ErrorKind};
use neuroglia::id::Ids;
use pizzeria_domain::menu::{Pizza, PizzaDraft};
use pizzeria_domain::money::{Money, MoneyError};
use pizzeria_domain::order::{
    Order, OrderCreated, OrderDraft, OrderError, OrderStatus, PaymentMethod, PaymentStatus, PricedDraft,
};

use crate::fixture::{cash_draft, document, line, menu, order_in, paying, placed, stamp, usd};

fn priced(draft: OrderDraft) -> Result<PricedDraft, OrderError> {
    draft.priced(&menu(), &[PaymentMethod::Cash], &Ids::sequence())
}

/// Where and by which rule the draft is refused.
fn refusals(draft: OrderDraft) -> Vec<(String, String)> {
    let error = Error::from(priced(draft).expect_err("a wrong draft"));
    assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "request.invalid"));
    error.violation_list().iter().map(|found| (found.pointer.clone(), found.code.to_string())).collect()
}

fn refusal_of(draft: OrderDraft) -> (String, String) {
    let mut found = refusals(draft);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn one_wrong_thing_is_named_with_its_place() {
    let table = [
        (line("calzone", "small", &[], 1), "/lines/0/pizza_id", "pizza.unknown"),
        (line("", "small", &[], 1), "/lines/0/pizza_id", "pizza.unknown"),
        (line("margherita", "huge", &[], 1), "/lines/0/size", "size.unknown"),
        (line("margherita", "small", &["gold"], 1), "/lines/0/toppings/0", "topping.unknown"),
        (line("margherita", "small", &["<b>"], 1), "/lines/0/toppings/0", "topping.unknown"),
        (line("margherita", "small", &["ham", "Ham"], 1), "/lines/0/toppings/1", "duplicate"),
        (line("margherita", "small", &["ham"; 11], 1), "/lines/0/toppings", "max_items"),
        (line("margherita", "small", &[], 0), "/lines/0/quantity", "range"),
        (line("margherita", "small", &[], -1), "/lines/0/quantity", "range"),
        (line("margherita", "small", &[], 21), "/lines/0/quantity", "range"),
        (line("margherita", "small", &[], i64::MAX), "/lines/0/quantity", "range"),
    ];
    for (line, pointer, code) in table {
        let found = refusal_of(cash_draft(vec![line.clone()]));
        assert_eq!(found, (pointer.to_owned(), code.to_owned()), "{line:?}");
    }
}

#[test]
fn every_wrong_thing_is_said_at_once() {
    let draft = OrderDraft {
        lines: vec![
            line("margherita", "small", &[], 1),
            line("calzone", "huge", &["ham", "ham"], 0),
            line("pepperoni", "medium", &["ham", "gold"], 21),
        ],
        payment: paying("cheque", None),
        notes: Some("x".repeat(501)),
    };
    let expected = [
        ("/lines/1/pizza_id", "pizza.unknown"),
        ("/lines/1/size", "size.unknown"),
        ("/lines/1/toppings/1", "duplicate"),
        ("/lines/1/quantity", "range"),
        ("/lines/2/toppings/1", "topping.unknown"),
        ("/lines/2/quantity", "range"),
        ("/payment_method", "payment.unknown"),
        ("/notes", "max_length"),
    ];
    assert_eq!(refusals(draft), expected.map(|(pointer, code)| (pointer.to_owned(), code.to_owned())));
}

#[test]
fn the_details_are_those_that_clients_know() {
    let details = |lines| -> Vec<String> {
        let wrong = Error::from(priced(cash_draft(lines)).expect_err("wrong"));
        wrong.violation_list().iter().map(|found| found.detail.to_string()).collect()
    };
    let wrong = vec![line("calzone", "small", &[], 21)];
    assert_eq!(details(wrong), ["not found in menu", "must be between 1 and 20"]);
    let rich = vec![line("margherita", "small", &["ham"; 11], 1)];
    assert_eq!(details(rich), ["must have at most 10 toppings"]);
    let endless = vec![line("margherita", "small", &[], 1); OrderDraft::LINES_MAX + 1];
    assert_eq!(details(endless), ["must have at most 100 lines"]);
}

#[test]
fn an_order_without_a_line_is_refused_and_one_without_end_as_well() {
    assert_eq!(refusal_of(cash_draft(Vec::new())), ("/lines".to_owned(), "order.empty".to_owned()));
    let endless = vec![line("margherita", "small", &[], 1); OrderDraft::LINES_MAX + 1];
    assert_eq!(refusal_of(cash_draft(endless)), ("/lines".to_owned(), "max_items".to_owned()));
}

#[test]
fn a_pizza_that_is_not_available_is_refused() {
    let mut menu = menu();
    menu[0].withdraw(stamp(1));
    let refused = cash_draft(vec![line("margherita", "small", &[], 1)])
        .priced(&menu, &[PaymentMethod::Cash], &Ids::sequence())
        .expect_err("a withdrawn pizza");
    let OrderError::Refused(refusal) = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.violations()[0].code, "pizza.unavailable");
}

#[test]
fn a_payment_is_refused_that_is_not_taken_or_not_told_right() {
    let paying = |method: &str, source: Option<&str>| OrderDraft {
        payment: paying(method, source),
        ..cash_draft(vec![line("margherita", "small", &[], 1)])
    };
    let not_accepted = ("/payment_method".to_owned(), "payment.not_accepted".to_owned());
    assert_eq!(refusal_of(paying("credit_card", Some("tok_visa"))), not_accepted);
    assert_eq!(
        refusal_of(paying("cash", Some("tok_visa"))),
        ("/payment_source".to_owned(), "format".to_owned())
    );

    for (source, code) in
        [(None, "required"), (Some("4242 4242 4242 4242"), "payment.card_number"), (Some(" "), "format")]
    {
        let refused = paying("debit_card", source)
            .priced(&menu(), &PaymentMethod::ALL, &Ids::sequence())
            .expect_err("a wrong source");
        let OrderError::Refused(refusal) = refused else { panic!("{refused:?}") };
        assert_eq!(refusal.violations()[0].code, code, "{source:?}");
    }
    let card = placed(paying("debit_card", Some("tok_visa")));
    assert_eq!(card.payment().status(), PaymentStatus::Authorizing);
}

#[test]
fn two_currencies_do_not_make_one_total() {
    let mut menu = menu();
    let euro = Money::parse("9.00", "EUR".parse().expect("a currency")).expect("an amount");
    let draft = PizzaDraft {
        name: "Europa".to_owned(),
        base_price: Ok(euro),
        description: String::new(),
        available: true,
        toppings: Vec::new(),
    };
    menu.push(Pizza::create(draft, stamp(0)).expect("a right draft"));
    let lines = vec![line("margherita", "small", &[], 1), line("europa", "small", &[], 1)];
    let refused = cash_draft(lines).priced(&menu, &[PaymentMethod::Cash], &Ids::sequence());
    assert!(matches!(refused, Err(OrderError::Price(MoneyError::CurrencyMismatch { .. }))), "{refused:?}");
}

#[test]
fn a_placed_order_keeps_what_was_asked_for_at_the_price_of_the_menu() {
    let mut order = placed(cash_draft(vec![line("margherita", "medium", &["Olives"], 2)]));
    assert_eq!(order.status(), OrderStatus::Pending);
    assert_eq!(order.payment().status(), PaymentStatus::Due);
    assert_eq!(order.notes(), Some("ring twice"));
    assert_eq!(order.total(), usd("38.78"));

    let kept = document(&order);
    let line = &kept["lines"][0];
    assert_eq!(line["unit_price"]["amount"], "19.39");
    assert_eq!(line["line_total"]["amount"], "38.78");
    assert_eq!(line["toppings"][0], "olives");
    assert_eq!(line["name"], "Margherita");
    assert_eq!(kept["history"][0]["by"], serde_json::Value::Null);

    let events = order.take_events();
    let created = events[0].downcast_ref::<OrderCreated>().expect("order.created");
    assert_eq!((created.order_id, created.total), (*order.id(), usd("38.78")));
    let json = events[0].to_json().expect("json");
    assert_eq!(&serde_json::from_str::<OrderCreated>(&json).expect("its own json"), created);
    for private in ["digest-canary", "Canary", "5550100", "ada@example.com", "Main St", "ring twice"] {
        assert!(!json.contains(private), "{private}");
    }
}

#[test]
fn a_document_reads_back_what_it_wrote_and_paths_are_its_own() {
    for status in OrderStatus::ALL {
        let order = order_in(status);
        let kept = document(&order);
        assert_eq!(serde_json::from_value::<Order>(kept.clone()).expect("an order"), order);
        assert_eq!(kept[Order::STATUS_PATH], status.as_str());
        assert!(kept[Order::PLACED_AT_PATH].is_string());
        assert_eq!(kept[Order::CUSTOMER_ID_PATH], order.customer_id().to_string());
        assert_eq!(kept[Order::PLACED_BY_PATH], kept["history"][0]["by"]);
    }
    let mut ready = order_in(OrderStatus::Ready);
    ready.claim(crate::fixture::user("driver-1"), crate::fixture::at(9)).expect("no driver yet");
    let kept = document(&ready);
    assert_eq!(kept[Order::DRIVER_PATH], "driver-1");
    assert!(kept[Order::CONFIRMED_AT_PATH].is_string() && kept[Order::READY_AT_PATH].is_string());
    let pointer = format!("/{}", Order::PAYMENT_STATUS_PATH.replace('.', "/"));
    assert_eq!(kept.pointer(&pointer).and_then(serde_json::Value::as_str), Some("due"));
}
