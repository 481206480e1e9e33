//! What the menu promises.

use neuroglia::clock::Timestamp;

use super::*;
use crate::money::Currency;
use crate::user::UserId;

fn stamp() -> Stamp {
    let manager: UserId = "manager-1".parse().expect("a user id");
    Stamp::by(manager, Timestamp::UNIX_EPOCH)
}

fn usd(text: &str) -> Money {
    Money::parse(text, Currency::USD).expect("an amount")
}

fn draft() -> PizzaDraft {
    PizzaDraft {
        name: "Quattro Stagioni".to_owned(),
        base_price: Ok(usd("15.50")),
        description: "four seasons".to_owned(),
        available: true,
        toppings: vec!["olives".to_owned(), "Extra  Cheese".to_owned()],
    }
}

fn created() -> Pizza {
    let mut pizza = Pizza::create(draft(), stamp()).expect("a right draft");
    pizza.take_events();
    pizza
}

fn event_names(pizza: &mut Pizza) -> Vec<&'static str> {
    pizza.take_events().iter().map(|event| event.name()).collect()
}

fn codes(refusal: &Refusal) -> Vec<(&str, &str)> {
    refusal.violations().iter().map(|found| (&*found.pointer, &*found.code)).collect()
}

#[test]
fn a_new_pizza_is_named_by_its_slug_and_told_to_others() {
    let mut pizza = Pizza::create(draft(), stamp()).expect("a right draft");
    assert_eq!(pizza.id().as_str(), "quattro-stagioni");
    assert_eq!(pizza.toppings().iter().map(Topping::as_str).collect::<Vec<_>>(), ["olives", "extra cheese"]);

    let events = pizza.take_events();
    assert_eq!(events.len(), 1);
    let created = events[0].downcast_ref::<PizzaCreated>().expect("pizza.created");
    assert_eq!(created.base_price, usd("15.50"));
    assert_eq!(created.by.as_ref().map(UserId::as_str), Some("manager-1"));
}

#[test]
fn everything_that_is_wrong_with_a_draft_is_said_at_once() {
    let wrong = PizzaDraft {
        name: "四季".to_owned(),
        base_price: Ok(usd("0")),
        description: "x".repeat(1001),
        available: true,
        toppings: vec!["olives".to_owned(), "<b>".to_owned(), "OLIVES".to_owned()],
    };
    let refusal = Pizza::create(wrong, stamp()).expect_err("a wrong draft");
    assert_eq!(
        codes(&refusal),
        [
            ("/name", "format"),
            ("/base_price/amount", "range"),
            ("/description", "max_length"),
            ("/toppings/1", "format"),
            ("/toppings/2", "duplicate"),
        ]
    );
}

#[test]
fn too_many_toppings_are_refused_in_a_sentence() {
    let endless = (0..=Pizza::TOPPINGS_MAX).map(|index| format!("topping {index}")).collect();
    let refusal = Pizza::create(PizzaDraft { toppings: endless, ..draft() }, stamp()).expect_err("too many");
    assert_eq!(refusal.to_string(), "/toppings must have at most 50 toppings");
}

#[test]
fn a_refused_update_changes_nothing() {
    let mut pizza = created();
    let before = pizza.clone();
    let wrong = PizzaDraft { name: String::new(), base_price: Ok(usd("99.00")), ..draft() };
    let refusal = pizza.update(wrong, stamp()).expect_err("a wrong draft");
    assert_eq!(codes(&refusal), [("/name", "required")]);
    for price in ["0", "10000000.01"] {
        let wrong = PizzaDraft { name: "Four Seasons".to_owned(), base_price: Ok(usd(price)), ..draft() };
        let refusal = pizza.update(wrong, stamp()).expect_err("no price");
        assert_eq!(codes(&refusal), [("/base_price/amount", "range")], "{price}");
    }
    assert_eq!(pizza, before);
    assert!(event_names(&mut pizza).is_empty());
}

#[test]
fn an_update_tells_only_what_changed() {
    let mut pizza = created();
    pizza.update(draft(), stamp()).expect("the same again");
    assert!(event_names(&mut pizza).is_empty());

    pizza.update(PizzaDraft { base_price: Ok(usd("16.00")), ..draft() }, stamp()).expect("another price");
    assert_eq!(event_names(&mut pizza), ["pizza.price.changed"]);

    pizza.update(PizzaDraft { available: false, ..draft() }, stamp()).expect("another price, not available");
    assert_eq!(event_names(&mut pizza), ["pizza.price.changed", "pizza.updated"]);
}

#[test]
fn a_rename_keeps_the_id() {
    let mut pizza = created();
    pizza.update(PizzaDraft { name: "Four Seasons".to_owned(), ..draft() }, stamp()).expect("another name");
    assert_eq!(pizza.id().as_str(), "quattro-stagioni");
    let document = serde_json::to_value(&pizza).expect("a document");
    assert_eq!(document[Pizza::NAME_KEY_PATH], "four-seasons");
    assert_eq!(document[Pizza::NAME_PATH], "Four Seasons");
    assert_eq!(document[Pizza::AVAILABLE_PATH], true);
}

#[test]
fn a_withdrawn_pizza_cannot_be_ordered() {
    let mut pizza = created();
    pizza.withdraw(stamp());
    assert!(!pizza.is_available());
    assert_eq!(event_names(&mut pizza), ["pizza.removed"]);
}

#[test]
fn the_house_opens_with_six_pizzas() {
    let menu: Vec<Pizza> = house_menu(Currency::USD)
        .into_iter()
        .map(|draft| Pizza::create(draft, stamp()).expect("a right draft"))
        .collect();
    assert_eq!(menu.len(), 6);
    for (id, price) in [("margherita", "12.99"), ("pepperoni", "14.99"), ("hawaiian", "15.99")] {
        let pizza = menu.iter().find(|pizza| pizza.id().as_str() == id).expect("on the menu");
        assert_eq!(pizza.base_price(), usd(price));
        assert_eq!(pizza.toppings().len(), 6);
    }
}

#[test]
fn a_document_reads_back_what_it_wrote() {
    let pizza = created();
    let document = serde_json::to_string(&pizza).expect("a document");
    assert_eq!(serde_json::from_str::<Pizza>(&document).expect("a pizza"), pizza);
}
