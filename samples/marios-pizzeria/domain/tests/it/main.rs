//! The rules of the pizzeria, by the door that the application uses.

mod fixture;

mod order_draft;
mod order_steps;
mod phone;
mod pricing;
