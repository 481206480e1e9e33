//! A server that a script watches at the other end of a pipe: when this process ends, so does the server.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::workspace::Result;

/// A server that ends with this.
pub(crate) struct Watched {
    name: &'static str,
    watch: Child,
    open: Option<ChildStdin>,
}

impl Watched {
    /// Starts the server that a script knows, on this port, in this folder.
    ///
    /// # Errors
    /// When it does not start; it says why on the terminal.
    pub(crate) fn start(
        name: &'static str,
        script: &str,
        folder: PathBuf,
        port: u16,
        more: &str,
    ) -> Result<Self> {
        let mut watch = order(script, "watch")
            .arg(folder)
            .args([&port.to_string(), more])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for the run; the script notices its end by itself.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("there is no shell: {error}"))?;
        let (open, answer) = (watch.stdin.take(), watch.stdout.take());
        let server = Self { name, watch, open };
        let mut line = String::new();
        let read = answer.map(|answer| BufReader::new(answer).read_line(&mut line));
        match read {
            Some(Ok(_)) if line.trim() == "done" => Ok(server),
            _ => Err(format!("{name} did not start; it said why above")),
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.open = None;
        if let Err(error) = self.watch.wait() {
            println!("{} may still be running: {error}", self.name);
        }
    }
}

/// A server's script with an order for it.
pub(super) fn order(script: &str, order: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "server.sh", order]);
    command
}

pub(crate) fn free_port() -> Result<u16> {
    let bound = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    bound.map(|address| address.port()).map_err(|error| format!("no port is free: {error}"))
}
