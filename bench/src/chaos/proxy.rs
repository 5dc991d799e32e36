//! A TCP proxy that can cut, hold and delay what goes through it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::locked;
use super::schedule::Trouble;
use crate::Error;

/// How long the server behind may take to accept a connection.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// The most bytes taken at a time.
const CHUNK: usize = 16 * 1024;

/// A running proxy; dropping it ends it.
#[derive(Debug)]
pub(super) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    accepting: AbortHandle,
}

#[derive(Debug)]
struct State {
    target: Mutex<Option<SocketAddr>>,
    trouble: watch::Sender<Option<Trouble>>,
}

impl Proxy {
    /// A proxy on a free port; without a target it takes connections and closes them.
    ///
    /// # Errors
    /// When there is no port.
    pub(super) async fn start(target: Option<SocketAddr>) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State { target: Mutex::new(target), trouble: watch::Sender::new(None) });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state))).abort_handle();
        Ok(Self { address, state, accepting })
    }

    /// Where to connect.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on connections go there.
    pub(super) fn set_target(&self, target: Option<SocketAddr>) {
        *locked(&self.state.target) = target;
    }

    /// From now on connections have this trouble, or none.
    pub(super) fn set_trouble(&self, trouble: Option<Trouble>) {
        self.state.trouble.send_replace(trouble);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        // Ends the connections that are open.
        self.state.trouble.send_replace(Some(Trouble::Cut));
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(connect(client, Arc::clone(&state)));
    }
}

async fn connect(client: TcpStream, state: Arc<State>) {
    let Some(target) = *locked(&state.target) else { return };
    let Ok(Ok(server)) = timeout(CONNECT_DEADLINE, TcpStream::connect(target)).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((client_in, client_out), (server_in, server_out)) = (client.into_split(), server.into_split());
    let mut cut = state.trouble.subscribe();
    tokio::select! {
        _ = cut.wait_for(|trouble| *trouble == Some(Trouble::Cut)) => {}
        _ = async { tokio::join!(
            pump(client_in, server_out, state.trouble.subscribe()),
            pump(server_in, client_out, state.trouble.subscribe()),
        ) } => {}
    }
}

/// Carries bytes one way until they end.
async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut trouble: watch::Receiver<Option<Trouble>>,
) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        if trouble.wait_for(|trouble| *trouble != Some(Trouble::Held)).await.is_err() {
            break;
        }
        let delay = match *trouble.borrow() {
            Some(Trouble::Delayed(by)) => by,
            _ => Duration::ZERO,
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if to.write_all(&chunk[..length]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = socket.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn it_carries_holds_and_cuts() {
        let proxy = Proxy::start(Some(echo().await)).await.unwrap();
        let mut socket = TcpStream::connect(proxy.address()).await.unwrap();
        let mut answer = [0; 4];
        socket.write_all(b"ping").await.unwrap();
        socket.read_exact(&mut answer).await.unwrap();
        proxy.set_trouble(Some(Trouble::Held));
        socket.write_all(b"held").await.unwrap();
        let held = timeout(Duration::from_millis(100), socket.read_exact(&mut answer)).await;
        assert!(held.is_err(), "nothing goes through");
        proxy.set_trouble(None);
        socket.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"held");
        proxy.set_trouble(Some(Trouble::Cut));
        assert_eq!(socket.read(&mut answer).await.unwrap_or(0), 0, "it is cut");
    }
}
