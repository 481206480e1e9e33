//! MongoDB, or what stands in for it: a server for many tests, one database for each.
//!
//! Unless [`MONGODB_VARIABLE`] names a deployment, it is SecantusDB, which is not MongoDB and must never be taken for it:
//! what runs against it is said to, on standard error, when a test process first uses it.

use std::fmt;
use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Once, OnceLock};

use neuroglia::id::Ids;

use super::mongo_wire::Command;
use super::private::{Private, script};

/// The environment variable that names a genuine deployment for the tests, such as
/// `mongodb://tester:secret@db.example.com/?authSource=admin`; its user may create and drop databases.
pub const MONGODB_VARIABLE: &str = "MONGODB_TEST_URI";

const SCRIPT: &str = concat!(
    include_str!("program.sh"),
    include_str!("certify.sh"),
    include_str!("mongo.sh"),
    include_str!("watch.sh")
);

/// How many servers the tests of one process share: each computes in one thread.
const SERVERS: usize = 2;

/// A private server, for tests that stop it.
#[derive(Debug)]
pub struct Mongo(Private);

impl Mongo {
    /// Starts one, a replica set of one member. What it has confirmed, as kept by a majority, is on the disk.
    ///
    /// # Panics
    /// When it cannot be installed, or does not start.
    pub fn start() -> Self {
        Self::start_with("--sync-on-commit")
    }

    /// Starts one that stands alone, as one does that nobody has made a replica set of.
    ///
    /// # Panics
    /// When it cannot be installed, or does not start.
    pub fn start_alone() -> Self {
        Self::start_with("--standalone")
    }

    /// Starts one that lets in one user, who may do everything.
    ///
    /// # Panics
    /// When it cannot be installed, or does not start.
    pub fn start_for(user: &str, password: &str) -> Self {
        Self::start_with(&format!("user={user}:{password}"))
    }

    /// Starts one that speaks TLS only, with a certificate for this name of its host and no other.
    ///
    /// # Panics
    /// When it cannot be installed, openssl is not, or the server does not start.
    pub fn start_certified(host: &str) -> Self {
        Self(Private::start(SCRIPT, "mongo", Some(&format!("tls={host}")), |_| true))
    }

    /// The certificate of the authority that certified it.
    pub fn authority(&self) -> PathBuf {
        self.0.folder().join("ca.crt")
    }

    /// Gives the user of [`start_for`](Self::start_for) another password; who is in stays in.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn change_password(&self, user: &str, old: &str, new: &str) {
        let url = format!("mongodb://{user}:{old}@127.0.0.1:{}/?authSource=admin", self.port());
        let change = format!(r#"{{"updateUser": "{user}", "pwd": "{new}"}}"#);
        let done = script(SCRIPT, "tell").args([&url, &change]).stdin(Stdio::null()).status();
        assert!(done.is_ok_and(|status| status.success()), "the server obeys its user");
    }

    fn start_with(argument: &str) -> Self {
        Self(Private::start(SCRIPT, "mongo", Some(argument), greets))
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("mongodb://127.0.0.1:{}/", self.0.port())
    }

    /// Its port on the loopback interface.
    pub fn port(&self) -> u16 {
        self.0.port()
    }

    /// Has the next so many of these commands fail, by a fault that MongoDB's own tests use as well: `data` as in
    /// `{"failCommands": ["commitTransaction"], "errorCode": 91}`.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn fail(&self, times: i32, data: Command) {
        let mode = Command::new().whole("times", times);
        let fault = Command::new().text("configureFailPoint", "failCommand").inner("mode", mode);
        self.tell(fault.inner("data", data));
    }

    /// Lets commands succeed again.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn heal(&self) {
        self.tell(Command::new().text("configureFailPoint", "failCommand").text("mode", "off"));
    }

    fn tell(&self, command: Command) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port())).expect("the server is there");
        command.run(&mut stream, "admin").expect("the server obeys");
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

    /// Starts the server again, on the same port with the same data.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        self.0.start_again();
    }
}

fn greets(stream: &mut TcpStream) -> bool {
    Command::new().whole("hello", 1).run(stream, "admin").is_ok()
}

/// A database of one test; a named deployment has it deleted when this is dropped, one of our own goes with it.
pub struct MongoDatabase {
    server: String,
    name: String,
    is_deleted: bool,
    _own: Option<Mongo>,
}

impl MongoDatabase {
    /// A name for one on a server of this test process; it is there once something is in it.
    ///
    /// # Panics
    /// When no server is named and none can be started.
    pub fn create() -> Self {
        // The process's end closes the pipes of the servers' scripts; a static is never dropped, and need not be.
        static SHARED: [OnceLock<Mongo>; SERVERS] = [const { OnceLock::new() }; SERVERS];
        static TURN: AtomicUsize = AtomicUsize::new(0);
        match named() {
            Some(server) => Self::of(server, None),
            None => {
                let shared = &SHARED[TURN.fetch_add(1, Ordering::Relaxed) % SERVERS];
                Self::of(shared.get_or_init(Mongo::start_quick).url(), None)
            }
        }
    }

    /// The same on a server of its own, for tests that give it so much to do that others would wait; on the one that is
    /// named, where one is.
    ///
    /// # Panics
    /// When no server is named and none can be started.
    pub fn create_apart() -> Self {
        match named() {
            Some(server) => Self::of(server, None),
            None => {
                let own = Mongo::start_quick();
                Self::of(own.url(), Some(own))
            }
        }
    }

    fn of(server: String, own: Option<Mongo>) -> Self {
        // A server of our own is gone with all its databases soon, and answers nobody while it deletes one.
        let is_deleted = named().is_some();
        Self { server, name: format!("t_{}", Ids::random().next_uuid().simple()), is_deleted, _own: own }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        let (hosts, parameters) = self.server.split_once('?').unwrap_or((&self.server, ""));
        let mark = if parameters.is_empty() { "" } else { "?" };
        format!("{}/{}{mark}{parameters}", hosts.trim_end_matches('/'), self.name)
    }
}

impl Drop for MongoDatabase {
    fn drop(&mut self) {
        if self.is_deleted {
            let mut delete = script(SCRIPT, "drop");
            // What cannot be deleted is worth no second panic.
            drop(delete.args([&self.server, &self.name]).stdin(Stdio::null()).status());
        }
    }
}

impl fmt::Debug for MongoDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MongoDatabase({})", self.name)
    }
}

/// The deployment that the environment names for the tests.
#[expect(clippy::disallowed_methods, reason = "a test run is told about its services by the environment")]
fn named() -> Option<String> {
    let named = std::env::var(MONGODB_VARIABLE).ok();
    if named.is_some() {
        announce(|| "the deployment that MONGODB_TEST_URI names".to_owned());
    }
    named
}

impl Mongo {
    /// One that may lose what it has confirmed when it is killed.
    fn start_quick() -> Self {
        let server = Self::start_with("");
        announce(|| server.name());
        server
    }

    /// What it says that it is.
    fn name(&self) -> String {
        let told = TcpStream::connect(("127.0.0.1", self.port()))
            .and_then(|mut stream| Command::new().whole("buildInfo", 1).run(&mut stream, "admin"));
        let told = told.expect("the server says what it is");
        let version = |name| told.text(name).unwrap_or_else(|| "unknown".to_owned());
        format!(
            "SecantusDB {}, which presents itself as MongoDB {}, not mongod",
            version("secantusVersion"),
            version("version")
        )
    }
}

/// Once, on standard error, past what the test harness captures.
fn announce(server: impl FnOnce() -> String) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(writeln!(std::io::stderr(), "tests of MongoDB run against {}", server())));
}
