//! A certificate for a server of a test's own.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

const SCRIPT: &str =
    concat!("set -eu; folder=$1; run() { \"$@\"; }\n", include_str!("certify.sh"), "certify \"$2\"");

/// A certificate by an authority that nobody else knows.
#[derive(Debug)]
pub struct Certificate(TempDir);

impl Certificate {
    /// One for this name of a host and no other.
    ///
    /// # Panics
    /// When openssl is not installed.
    pub fn of(host: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "sh"]).arg(folder.path()).arg(host);
        assert!(
            shell.status().expect("a shell").success(),
            "openssl makes no certificate; it says why above"
        );
        Self(folder)
    }

    /// The certificate of the authority, in PEM.
    pub fn authority(&self) -> PathBuf {
        self.0.path().join("ca.crt")
    }

    /// The certificate, in PEM.
    pub fn chain(&self) -> PathBuf {
        self.0.path().join("server.crt")
    }

    /// Its key, in PEM.
    pub fn key(&self) -> PathBuf {
        self.0.path().join("server.key")
    }
}
