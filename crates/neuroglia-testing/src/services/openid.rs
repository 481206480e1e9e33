//! An OpenID provider, one for each test that needs one: what others make of the specifications.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use serde_json::json;

use super::private::{Private, script};

const SCRIPT: &str = concat!(include_str!("program.sh"), include_str!("openid.sh"), include_str!("watch.sh"));

/// A private provider.
#[derive(Debug)]
pub struct OpenId(Private);

impl OpenId {
    /// Whom its tokens are for.
    pub const AUDIENCE: &str = "marios-pizzeria";

    /// Starts one.
    ///
    /// # Panics
    /// When it cannot be installed, or does not start.
    pub fn start() -> Self {
        Self(Private::start(SCRIPT, "openid", None, answers))
    }

    /// Its name in tokens, and where its configuration is.
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.0.port())
    }

    /// A token for somebody with a role, which stands in the claim `realm_access.roles`.
    ///
    /// # Panics
    /// When the provider refuses.
    pub fn token(&self, subject: &str, role: &str) -> String {
        let claims = json!({"realm_access": {"roles": [role]}}).to_string();
        let mut command = script(SCRIPT, "token");
        command.args([&*self.issuer(), Self::AUDIENCE, subject, &claims]).stdin(Stdio::null());
        let output = command.output().expect("a shell");
        assert!(output.status.success(), "no token: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a token is text").trim().to_owned()
    }

    /// Ends it as a crash would; its keys are gone with it.
    ///
    /// # Panics
    /// When the script that watches it is gone.
    pub fn crash(&mut self) {
        self.0.crash();
    }
}

/// It says where its keys are.
fn answers(stream: &mut TcpStream) -> bool {
    let request = b"GET /.well-known/openid-configuration HTTP/1.0\r\nHost: localhost\r\n\r\n";
    let mut answer = [0; 12];
    stream.write_all(request).and_then(|()| stream.read_exact(&mut answer)).is_ok()
        && answer.ends_with(b" 200")
}
