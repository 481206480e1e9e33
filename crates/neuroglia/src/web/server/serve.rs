//! The server from its port to its end.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket};

use super::accept;
use super::application::Application;
use super::connection::Host;
use super::drain::{Drain, Drained, Phase, Shared};
use super::limits::Limits;
use crate::shutdown::ABORT_GRACE;

/// As many waiting connections as the kernel allows; it clamps this to its own bound.
const BACKLOG: u32 = 4096;

/// A bound port that is not served yet.
///
/// Binding and serving are apart, so that a process knows its port, and that it has it, before it
/// says that it started. Clients that connect in between wait in the backlog.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
}

impl Server {
    /// Binds the address and listens; port 0 takes a free one.
    ///
    /// # Errors
    /// Whatever the system says: the address is in use, is not ours, or needs more rights.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O enabled.
    pub fn bind(address: SocketAddr, limits: Limits) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A restarted process must not wait for the connections of its predecessor to expire.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, limits })
    }

    /// The address that was bound, with the real port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the drain has come to its end: everything answered, or the deadline reached.
    ///
    /// Each request carries its client's address as [`ConnectInfo`](axum::extract::ConnectInfo), and
    /// those with a body a [`BodyLimit`](super::BodyLimit). If the returned future is dropped, all
    /// connections are cut.
    pub async fn serve<A: Application>(self, application: A, drain: Drain) -> Drained {
        let shared = Arc::new(Shared::new(self.limits));
        let _cut = AbortOnDrop(Arc::clone(&shared));
        let host = Arc::new(Host::new(Arc::clone(&shared), application));

        {
            let mut accepting = pin!(accept::run(&self.listener, &host));
            tokio::select! {
                never = &mut accepting => match never {},
                () = drain.begin.cancelled() => (),
                () = drain.close.cancelled() => (),
                () = drain.abort.cancelled() => (),
            }
            shared.advance(Phase::Draining);
            tokio::select! {
                never = &mut accepting => match never {},
                () = drain.close.cancelled() => (),
                () = drain.abort.cancelled() => (),
            }
        }

        // Idle connections leave from now on, so that there is room for those who still wait for theirs.
        shared.advance(Phase::Closed);
        tokio::select! {
            () = accept::empty_backlog(self.listener, &host) => (),
            () = drain.abort.cancelled() => (),
        }
        shared.tasks.close();
        tokio::select! {
            () = shared.tasks.wait() => (),
            () = drain.abort.cancelled() => {
                shared.advance(Phase::Aborted);
                // Whoever is still running afterwards is counted as stuck.
                tokio::time::timeout(ABORT_GRACE, shared.tasks.wait()).await.ok();
            }
        }
        shared.drained()
    }
}

/// Cuts what would otherwise outlive the future that owns it.
struct AbortOnDrop(Arc<Shared>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.advance(Phase::Aborted);
    }
}
