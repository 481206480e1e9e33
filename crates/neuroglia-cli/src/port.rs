//! Whether a port is free, and who holds it when it is not.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use crate::Result;

/// Checks that the application will be able to listen on the address.
///
/// # Errors
/// A sentence that names the port, its holder where the machine tells, and the way out.
pub(crate) fn check_free(address: SocketAddr) -> Result<()> {
    let port = address.port();
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let holder = match holder(port) {
                Some(Holder { name, pid }) => format!("by {name} (process {pid})"),
                None => "by a process that this user may not look at".to_owned(),
            };
            Err(format!("port {port} is taken {holder}: stop it, or choose another port with --port"))
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(format!("port {port} is reserved to the superuser: choose one above 1023 with --port"))
        }
        Err(error) => Err(format!("{address} cannot be listened on: {error}")),
    }
}

/// The process that listens on a port.
#[derive(Debug)]
struct Holder {
    name: String,
    pid: u32,
}

/// Looks the listener up in `/proc`: port → socket's inode → the process that has it open.
fn holder(port: u16) -> Option<Holder> {
    let inodes: HashSet<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|table| listening_inodes(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let process = entry.path();
        let is_holder = std::fs::read_dir(process.join("fd")).ok()?.flatten().any(|descriptor| {
            std::fs::read_link(descriptor.path())
                .is_ok_and(|link| inodes.contains(link.to_string_lossy().as_ref()))
        });
        is_holder.then(|| Holder { name: name_of(&process), pid })
    })
}

fn name_of(process: &Path) -> String {
    // `comm` is cut after 15 characters; the executable's own name is not.
    let executable = std::fs::read_link(process.join("exe")).ok();
    let name =
        executable.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    name.or_else(|| std::fs::read_to_string(process.join("comm")).ok().map(|name| name.trim().to_owned()))
        .unwrap_or_else(|| "a process".to_owned())
}

/// The inodes of the sockets that listen on `port`, in a table of `/proc/net`.
fn listening_inodes(table: &str, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    let inode = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (_, local_port) = columns.get(1)?.rsplit_once(':')?;
        let is_listener = *columns.get(3)? == LISTEN && u16::from_str_radix(local_port, 16) == Ok(port);
        if is_listener { columns.get(9)?.parse().ok() } else { None }
    };
    table.lines().skip(1).filter_map(inode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_found_in_the_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 4711 1 0 100 0 0 10 0\n\
             1: 0100007F:1F40 0100007F:D431 01 00000000:00000000 00:00000000 00000000  0  0 4712 1 0 20 4 30 10 -1\n\
             2: 00000000:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 4713 1 0 100 0 0 10 0\n";
        assert_eq!(listening_inodes(table, 8000), [4711]);
        assert_eq!(listening_inodes(table, 8001), [4713]);
        assert_eq!(listening_inodes(table, 8002), Vec::<u64>::new());
    }

    #[test]
    fn a_taken_port_is_told_with_its_holder() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the machine has a free port");
        let address = listener.local_addr().expect("it is bound");
        let failure = check_free(address).expect_err("the port is taken");
        assert!(failure.contains(&format!("port {} is taken", address.port())), "{failure}");
        assert!(failure.contains("--port"), "{failure}");
        if cfg!(target_os = "linux") {
            assert!(failure.contains(&format!("(process {})", std::process::id())), "{failure}");
            assert!(failure.contains("by neuroglia-"), "{failure}");
        }
        drop(listener);
        // A child that another test starts has a copy of the listener until it has become its program.
        let is_free = (0..1_000).any(|_| {
            std::thread::park_timeout(std::time::Duration::from_millis(5));
            check_free(address).is_ok()
        });
        assert!(is_free, "nobody listens any more");
    }
}
