//! The menu that the house opens with.

use rust_decimal::Decimal;

use super::PizzaDraft;
use crate::money::{Currency, Money};

/// The toppings that the house offers with every pizza.
pub const HOUSE_TOPPINGS: [&str; 6] = ["olives", "mushrooms", "onions", "peppers", "ham", "extra cheese"];

/// Name, base price in hundredths, and description.
const HOUSE_PIZZAS: [(&str, i64, &str); 6] = [
    ("Margherita", 1299, "Tomato, mozzarella and basil"),
    ("Pepperoni", 1499, "Tomato, mozzarella and plenty of pepperoni"),
    ("Hawaiian", 1599, "Tomato, mozzarella, ham and pineapple"),
    ("Marinara", 1099, "Tomato, garlic and oregano, without cheese"),
    ("Quattro Formaggi", 1699, "Mozzarella, gorgonzola, fontina and parmesan"),
    ("Capricciosa", 1749, "Tomato, mozzarella, ham, mushrooms, artichokes and olives"),
];

/// Six pizzas to open with, priced in this currency.
pub fn house_menu(currency: Currency) -> Vec<PizzaDraft> {
    HOUSE_PIZZAS
        .into_iter()
        .map(|(name, hundredths, description)| PizzaDraft {
            name: name.to_owned(),
            base_price: Ok(Money::new(Decimal::new(hundredths, Money::PLACES), currency)
                .expect("the prices of the house have two places")),
            description: description.to_owned(),
            available: true,
            toppings: HOUSE_TOPPINGS.map(str::to_owned).to_vec(),
        })
        .collect()
}
