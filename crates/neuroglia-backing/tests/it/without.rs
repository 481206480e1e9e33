//! An executable that was built without a driver: what it says to the URL of one.
//!
//! The crate's own tests have all drivers, so a small program is built beside them, which has none.

use std::path::Path;
use std::process::Command;

/// Judges `PORT=URL` for each argument, and prints what is wrong with the URL at this port.
const PROGRAM: &str = r#"
use neuroglia_backing::{bus, cache, mail, service, store};

fn main() {
    for argument in std::env::args().skip(1) {
        let (port, url) = argument.split_once('=').expect("a port and a URL");
        let url = url.parse().expect("a URL");
        let judged = match port {
            "store" => store::check_url(&url),
            "bus" => bus::check_url(&url),
            "cache" => cache::check_url(&url),
            "mail" => mail::check_url(&url),
            _ => service::check_url(&url),
        };
        println!("{argument} {}", judged.err().unwrap_or_default());
    }
}
"#;

/// Every URL that a driver is for, at its port, and the feature that brings the driver.
const REFUSED: [(&str, &str); 17] = [
    ("store=sqlite://shop.db", "sqlite"),
    ("store=postgres://shop@host/shop", "postgres"),
    ("store=postgresql://shop@host/shop", "postgres"),
    ("store=mongodb://host/shop", "mongodb"),
    ("store=mongodb+srv://host/shop", "mongodb"),
    ("bus=amqp://host", "amqp"),
    ("bus=amqps://host", "amqp"),
    ("bus=nats://host", "nats"),
    ("bus=tls://host", "nats"),
    ("bus=http://host/events", "http"),
    ("bus=https://host/events", "http"),
    ("cache=redis://host", "redis"),
    ("cache=rediss://host", "redis"),
    ("mail=smtp://host", "smtp"),
    ("mail=smtps://host", "smtp"),
    ("service=http://host", "http"),
    ("service=https://host", "http"),
];

#[test]
fn a_driver_that_is_not_compiled_in_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    };
    let manifest = format!(
        "[package]\nname = \"without\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n\
         neuroglia-backing = {{ path = {:?}, default-features = false }}\n\n\
         [[bin]]\nname = \"without\"\npath = \"main.rs\"\n\n[workspace]\n",
        here.display().to_string()
    );
    write("Cargo.toml", &manifest);
    write("main.rs", PROGRAM);
    // The versions that the framework was tested with, and no network.
    std::fs::copy(here.join("../../Cargo.lock"), folder.path().join("Cargo.lock")).expect("it is there");
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--offline", "--"])
        .args(REFUSED.iter().map(|(argument, _)| argument))
        .arg("store=memory:")
        .current_dir(folder.path())
        // What was built for it is kept between runs; only the first one waits.
        .env("CARGO_TARGET_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/without"))
        .output()
        .expect("cargo is there");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected: String = REFUSED
        .iter()
        .map(|(argument, feature)| {
            format!("{argument} this executable was built without the feature `{feature}`\n")
        })
        .collect();
    assert_eq!(told, expected + "store=memory: \n", "what needs no driver is there");
}
