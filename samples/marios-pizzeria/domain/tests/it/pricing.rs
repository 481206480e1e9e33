//! Prices: exact after one rounding, the same on the menu and in an order.

use neuroglia::id::Ids;
use pizzeria_domain::menu::{HOUSE_TOPPINGS, Pizza, PizzaDraft, Size, unit_price};
use pizzeria_domain::money::{Currency, Money, MoneyError};
use pizzeria_domain::order::{LineDraft, PaymentMethod};
use proptest::prelude::*;
use rust_decimal::Decimal;

use crate::fixture::{cash_draft, stamp};

fn cents(hundredths: i64) -> Money {
    Money::new(Decimal::new(hundredths, 2), Currency::USD).expect("an amount")
}

fn hundredths(money: Money) -> i128 {
    money.amount().mantissa()
}

/// The unit price in hundredths by whole numbers alone: thousandths, then half to even.
fn expected_unit_price(base: i64, size: Size, toppings: usize) -> i128 {
    let factor = match size {
        Size::Small => 10,
        Size::Medium => 13,
        Size::Large => 16,
    };
    let thousandths = i128::from(base) * factor + 2500 * i128::try_from(toppings).expect("few toppings");
    let (whole, rest) = (thousandths / 10, thousandths % 10);
    whole + i128::from(rest > 5 || (rest == 5 && whole % 2 == 1))
}

fn line() -> impl Strategy<Value = (usize, Size, Vec<&'static str>, i64)> {
    let toppings = prop::sample::subsequence(HOUSE_TOPPINGS.to_vec(), 0..=HOUSE_TOPPINGS.len());
    (0..3_usize, prop::sample::select(&Size::ALL[..]), toppings, 1..=20_i64)
}

proptest! {
    #[test]
    fn a_unit_price_is_rounded_once_half_to_even(
        base in 1..1_000_000_000_i64,
        size in prop::sample::select(&Size::ALL[..]),
        toppings in 0..=10_usize,
    ) {
        let price = unit_price(cents(base), size, toppings).expect("far from the limits");
        prop_assert_eq!(price.amount().scale(), Money::PLACES);
        prop_assert_eq!(hundredths(price), expected_unit_price(base, size, toppings));
    }

    #[test]
    fn an_order_costs_what_the_menu_says(
        bases in prop::array::uniform3(1..100_000_i64),
        lines in prop::collection::vec(line(), 1..12),
    ) {
        let menu: Vec<Pizza> = bases
            .iter()
            .zip(["One", "Two", "Three"])
            .map(|(base, name)| PizzaDraft {
                name: name.to_owned(),
                base_price: Ok(cents(*base)),
                description: String::new(),
                available: true,
                toppings: HOUSE_TOPPINGS.map(str::to_owned).to_vec(),
            })
            .map(|draft| Pizza::create(draft, stamp(0)).expect("a right draft"))
            .collect();
        let drafts = lines
            .iter()
            .map(|(pizza, size, toppings, quantity)| LineDraft {
                pizza_id: ["one", "two", "three"][*pizza].to_owned(),
                size: size.to_string(),
                toppings: toppings.iter().map(|name| (*name).to_owned()).collect(),
                quantity: *quantity,
            })
            .collect();
        let priced = cash_draft(drafts)
            .priced(&menu, &[PaymentMethod::Cash], &Ids::sequence())
            .expect("a right draft");

        let mut sum = 0;
        for (kept, (pizza, size, toppings, quantity)) in priced.lines().iter().zip(&lines) {
            let on_the_menu = menu[*pizza].unit_price(*size, toppings.len()).expect("a small price");
            prop_assert_eq!(kept.unit_price(), on_the_menu);
            prop_assert_eq!(hundredths(kept.line_total()), hundredths(kept.unit_price()) * i128::from(*quantity));
            sum += hundredths(kept.line_total());
        }
        prop_assert_eq!(hundredths(priced.total()), sum);
    }

    #[test]
    fn any_text_is_an_amount_that_reads_back_or_an_error(text in "-?[0-9]{0,14}[.]?[0-9]{0,4}|\\PC*") {
        if let Ok(money) = Money::parse(&text, Currency::USD) {
            let again = money.amount().to_string();
            prop_assert_eq!(Money::parse(&again, Currency::USD), Ok(money));
            prop_assert!(again.split_once('.').is_some_and(|(_, places)| places.len() == 2));
        }
    }

    #[test]
    fn sums_are_exact_or_too_large(left in 0..=99_999_999_999_999_i64, right in 0..=99_999_999_999_999_i64) {
        let exact = left + right;
        let sum = cents(left).checked_add(cents(right));
        if exact <= 99_999_999_999_999 {
            prop_assert_eq!(sum, Ok(cents(exact)));
        } else {
            prop_assert_eq!(sum, Err(MoneyError::TooLarge));
        }
    }
}
