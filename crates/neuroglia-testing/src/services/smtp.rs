//! A mail server, one for each test that needs one: aiosmtpd, which speaks SMTP as others have read the RFCs.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::PathBuf;

use super::private::Private;
use crate::conformance::mail::Arrived;

const SCRIPT: &str = concat!(
    include_str!("program.sh"),
    include_str!("certify.sh"),
    "smtp_py() { cat <<'PYTHON'\n",
    include_str!("smtp.py"),
    "PYTHON\n}\n",
    include_str!("smtp.sh"),
    include_str!("watch.sh")
);

/// How a server speaks TLS; its certificate is for `localhost`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SmtpTls {
    /// Not at all.
    #[default]
    None,
    /// When it is asked to by `STARTTLS`.
    Offered,
    /// From the first byte.
    Wrapped,
}

/// What a server does to mail for one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Says that nobody has the address (`550`).
    Refuse,
    /// Says so after it has read the message (`554`).
    RefuseContent,
    /// Takes the next one another time (`451`).
    RefuseOnce,
    /// Goes away while the next one is sent, and has not taken it.
    LeaveOnce,
    /// Goes away after it has taken the next one, and before it could say so.
    LoseAnswerOnce,
}

impl Misbehaviour {
    /// Its word in `smtp.py`.
    const fn word(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::RefuseContent => "refuse-content",
            Self::RefuseOnce => "refuse-once",
            Self::LeaveOnce => "leave-once",
            Self::LoseAnswerOnce => "lose-answer-once",
        }
    }
}

/// A private server.
#[derive(Debug)]
pub struct Smtp(Private);

impl Smtp {
    /// The user whom [`Smtp::start_guarded`] knows, and the password, as a URL has them.
    pub const CREDENTIALS: &str = "pizzeria:p%40ss%20word";

    /// Starts one that takes mail from everybody, in the clear.
    ///
    /// # Panics
    /// When aiosmtpd is not installed, or the server does not start.
    pub fn start() -> Self {
        Self::start_as("", SmtpTls::None)
    }

    /// Starts one that speaks TLS and takes mail from everybody.
    ///
    /// # Panics
    /// Those of [`Smtp::start`], and when openssl is not installed.
    pub fn start_certified(tls: SmtpTls) -> Self {
        Self::start_as("", tls)
    }

    /// Starts one that takes mail only from the user of [`Smtp::CREDENTIALS`].
    ///
    /// # Panics
    /// Those of [`Smtp::start_certified`].
    pub fn start_guarded(tls: SmtpTls) -> Self {
        Self::start_as("auth", tls)
    }

    fn start_as(features: &str, tls: SmtpTls) -> Self {
        let tls = match tls {
            SmtpTls::None => "",
            SmtpTls::Offered => "starttls",
            SmtpTls::Wrapped => "wrapped",
        };
        let is_ready = if tls == "wrapped" { |_: &mut _| true } else { greets };
        Self(Private::start(SCRIPT, "smtp", Some(&format!("{tls} {features}")), is_ready))
    }

    /// Where it listens, on the loopback interface.
    pub fn port(&self) -> u16 {
        self.0.port()
    }

    /// Where it answers in the clear, to those who need no password.
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port())
    }

    /// The certificate of the authority that certified it.
    pub fn authority(&self) -> PathBuf {
        self.0.folder().join("ca.crt")
    }

    /// Lets it misbehave towards an address.
    ///
    /// # Panics
    /// When its folder cannot be written to.
    pub fn misbehave(&self, to: &str, how: Misbehaviour) {
        // Whoever reads it reads it whole.
        let (new, way) = (self.0.folder().join("way"), self.0.folder().join("ways").join(to));
        fs::write(&new, how.word())
            .and_then(|()| fs::rename(&new, way))
            .expect("the server's folder is ours");
    }

    /// Changes the password of the user of [`Smtp::CREDENTIALS`] to one that nobody knows, or back; who is in stays in.
    ///
    /// # Panics
    /// When its folder cannot be written to, or it is changed back without having been changed.
    pub fn change_password(&self, is_unknown: bool) {
        let sign = self.0.folder().join("changed");
        let done = if is_unknown { fs::write(&sign, "") } else { fs::remove_file(&sign) };
        done.expect("the server's folder is ours");
    }

    /// What has arrived, in order.
    ///
    /// # Panics
    /// When what the server wrote cannot be read.
    pub fn arrived(&self) -> Vec<Arrived> {
        let lines =
            fs::read_to_string(self.0.folder().join("arrived")).expect("the server keeps what it takes");
        // A line without an end is being written.
        let lines = lines.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        lines.map(|line| serde_json::from_str(line).expect("a line is a document")).collect()
    }

    /// Stops the server.
    ///
    /// # Panics
    /// When the script that watches it is gone.
    pub fn stop(&mut self) {
        self.0.stop();
    }

    /// Ends the server as a crash would.
    ///
    /// # Panics
    /// When the script that watches it is gone.
    pub fn crash(&mut self) {
        self.0.crash();
    }

    /// Starts the server again, on the same port; what has arrived is still there.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        self.0.start_again();
    }
}

/// It speaks first.
fn greets(stream: &mut TcpStream) -> bool {
    let mut greeting = [0; 3];
    stream.read_exact(&mut greeting).is_ok() && greeting == *b"220"
}
