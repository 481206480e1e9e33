//! Has the linker write down the addresses that a start has to adjust as a few bits each, where the C library reads that.
//!
//! Cargo does not ask again when the C library is another one, so a target folder belongs to one.

use std::env::var_os;
use std::process::Command;

/// The first glibc that does: its release notes call it `DT_RELR`.
const SINCE: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_for_here =
        var_os("TARGET") == var_os("HOST") && var_os("CARGO_CFG_TARGET_ENV").is_some_and(|env| env == "gnu");
    if is_for_here && glibc().is_some_and(|version| version >= SINCE) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of this machine's; what is built here needs `SINCE` then, unless it is linked statically.
fn glibc() -> Option<(u32, u32)> {
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let (major, minor) = said.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
