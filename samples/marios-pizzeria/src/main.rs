//! pizzeria
fn main() {}
