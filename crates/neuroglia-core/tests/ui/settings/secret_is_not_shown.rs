//! A secret has no way to become text by accident.

extern crate neuroglia_core as neuroglia;

use neuroglia::settings::Secret;

#[derive(Debug)]
struct Holder {
    key: Secret<String>,
}

#[derive(serde::Serialize)]
struct Sent {
    key: Secret<String>,
}

fn main() {
    let key = Secret::new(String::from("key"));
    println!("{key}");
    println!("{key:?}");
}
