//! `cargo xtask services`: servers that stay between test runs.
//!
//! A run that finds one named in its environment uses it, and saves the time to start its own.

use std::fs;
use std::path::PathBuf;

use clap::Subcommand;

use crate::services::install;
use crate::services::postgres::{VARIABLE, folder, script, url};
use crate::services::watched::free_port;
use crate::tools;
use crate::workspace::{Result, Workspace, read, run as execute};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    order: Order,
}

#[derive(Clone, Copy, Subcommand)]
enum Order {
    /// Start what is not running, and print the variables that name it
    Up,
    /// Stop it and delete its data
    Down,
    /// Say what is running
    Status,
    /// Install what is missing, from the system's packages
    Install,
}

/// Does what was asked.
///
/// # Errors
/// When a service cannot be installed, started or stopped; the sentence has what it said.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    match arguments.order {
        Order::Up => up(workspace),
        Order::Down => down(workspace),
        Order::Status => {
            match running(workspace) {
                Some(server) => println!("postgres: running, export {VARIABLE}={}", url(server.port)),
                None => println!("postgres: not running; `cargo xtask services up` starts it"),
            }
            Ok(())
        }
        Order::Install => {
            install::postgres().and_then(|()| tools::provide_servers()).and_then(|()| install::mongo())
        }
    }
}

/// A server that was started by an earlier command.
struct Server {
    folder: PathBuf,
    port: u16,
}

fn up(workspace: &Workspace) -> Result<()> {
    install::postgres()?;
    let port = match running(workspace) {
        Some(server) => server.port,
        None => {
            down(workspace)?;
            let port = free_port()?;
            let folder = folder(port);
            execute(script("up").arg(&folder).arg(port.to_string()))?;
            let note = note(workspace);
            let written = note
                .parent()
                .map_or(Ok(()), fs::create_dir_all)
                .and_then(|()| fs::write(&note, format!("{port} {}\n", folder.display())));
            written.map_err(|error| format!("cannot write {}: {error}", note.display()))?;
            port
        }
    };
    println!("export {VARIABLE}={}", url(port));
    Ok(())
}

fn down(workspace: &Workspace) -> Result<()> {
    let Some(server) = noted(workspace) else { return Ok(()) };
    execute(script("down").arg(&server.folder))?;
    let note = note(workspace);
    fs::remove_file(&note).map_err(|error| format!("cannot delete {}: {error}", note.display()))
}

fn running(workspace: &Workspace) -> Option<Server> {
    noted(workspace).filter(|server| read(script("status").arg(&server.folder)).is_ok())
}

/// Where the last server was started, which may have ended since.
fn noted(workspace: &Workspace) -> Option<Server> {
    let text = fs::read_to_string(note(workspace)).ok()?;
    let (port, folder) = text.trim_end().split_once(' ')?;
    Some(Server { folder: folder.into(), port: port.parse().ok()? })
}

fn note(workspace: &Workspace) -> PathBuf {
    workspace.target.join("services").join("postgres")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::Postgres;

    #[test]
    fn a_server_stays_between_commands_until_it_is_stopped() {
        let target = std::env::temp_dir().join(format!("neuroglia-services-{}", std::process::id()));
        let workspace = Workspace { root: target.clone(), target: target.clone() };
        let port = || running(&workspace).map(|server| server.port);
        let command = |order| run(&workspace, &Arguments { order });
        command(Order::Status).expect("to say that nothing runs is no error");
        command(Order::Down).expect("nor is to stop nothing");
        assert_eq!(port(), None);

        command(Order::Up).expect("it starts");
        let first = port().expect("it runs");
        Postgres::sql(&url(first), "SELECT 1").expect("it answers");
        command(Order::Up).expect("it runs already");
        assert_eq!(port(), Some(first), "the same server");
        command(Order::Status).expect("it is said");

        // One that died is not taken for one that runs.
        let server = noted(&workspace).expect("it was noted");
        execute(script("down").arg(&server.folder)).expect("it ends");
        assert_eq!(port(), None);
        command(Order::Up).expect("another one starts");
        let second = noted(&workspace).expect("it was noted");
        Postgres::sql(&url(second.port), "SELECT 1").expect("it answers");

        command(Order::Down).expect("it stops");
        assert_eq!(port(), None);
        Postgres::sql(&url(second.port), "SELECT 1").expect_err("nobody answers");
        assert!(!second.folder.exists(), "its folder is deleted");
        fs::remove_dir_all(&target).expect("what was written");
    }
}
