//! Requests and WebSockets while everything else goes on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::{SinkExt, StreamExt};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::ledger::{Entry, Expected, Ledger};

/// A request: whose, where, and what opens it.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    address: SocketAddr,
    workspace: String,
    host: String,
    token: String,
}

impl Visit {
    pub(super) fn to(entry: &Entry, port: u16, address: SocketAddr) -> Self {
        Self {
            address,
            workspace: entry.id.clone(),
            host: format!("{port}-{}.ws.localhost", entry.id),
            token: entry.token.clone(),
        }
    }

    /// Asks once. `Ok(true)`: the workspace itself has answered. An error of another
    /// workspace's answer is told apart by [`WrongAnswer`].
    pub(super) async fn ask(&self) -> anyhow::Result<bool> {
        let mut stream = TcpStream::connect(self.address).await?;
        let head = format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nx-gitpod-owner-token: {}\r\nConnection: close\r\n\r\n",
            self.host, self.token
        );
        stream.write_all(head.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        if !head.starts_with("HTTP/1.1 200") {
            return Ok(false); // it is just starting, stopping or stopped
        }
        if !body.ends_with('\n') {
            return Ok(false); // cut off by the end of the workspace, or of `up`
        }
        self.check(body)?;
        Ok(true)
    }

    fn check(&self, body: &str) -> anyhow::Result<()> {
        let is_own = body.split(' ').next() == Some(&*self.workspace);
        ensure!(is_own, WrongAnswer(self.workspace.clone(), body.to_owned()));
        Ok(())
    }

    /// Opens a WebSocket and sends `messages`, which must come back.
    pub(super) async fn echo(&self, messages: u32) -> anyhow::Result<()> {
        let stream = TcpStream::connect(self.address).await?;
        let mut request = format!("ws://{}/", self.host).into_client_request()?;
        let headers = request.headers_mut();
        headers.insert("x-gitpod-owner-token", self.token.parse()?);
        let (mut socket, _) = client_async(request, stream).await?;
        for number in 0..messages {
            let sent = format!("{} {number}", self.workspace);
            socket.send(Message::text(sent.clone())).await?;
            let heard = socket.next().await.context("socket ended")??;
            let heard = heard.into_text()?;
            ensure!(heard.as_str() == sent, WrongAnswer(sent, heard.to_string()));
            sleep(Duration::from_millis(20)).await;
        }
        socket.close(None).await?;
        Ok(())
    }
}

/// An answer that nobody asked for: of another workspace.
#[derive(Debug, thiserror::Error)]
#[error("asked workspace {0}, and the answer is {1:?}")]
pub(super) struct WrongAnswer(String, String);

/// One visitor, until `up` is killed.
pub(super) async fn visit(ledger: Arc<Ledger>, ports: Arc<[u16]>, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    while ledger.is_up() {
        let slot = random.random_range(0..ports.len());
        if let Some(visit) = visit_of(&ledger, &ports, slot) {
            let visited = async {
                match random.random_range(0..4) {
                    0 => visit.echo(5).await.map(|()| true),
                    _ => visit.ask().await,
                }
            };
            match timeout(LONGEST, visited).await {
                Ok(Ok(answered)) => ledger.open().answers += usize::from(answered),
                Ok(Err(why)) if why.is::<WrongAnswer>() => ledger.complain(why.to_string()),
                // It was stopped or deleted meanwhile, or `up` was killed.
                Ok(Err(_)) => {}
                Err(_) => ledger.complain(format!("a request to {} hangs", visit.workspace)),
            }
        }
        sleep(Duration::from_millis(random.random_range(1..40))).await;
    }
}

/// A workspace that is being stopped may keep a connection as long as it may go on itself.
const LONGEST: Duration = Duration::from_secs(45);

fn visit_of(ledger: &Ledger, ports: &[u16], slot: usize) -> Option<Visit> {
    let promises = ledger.open();
    let entry = promises.slots.get(slot)?.as_ref()?;
    let runs = entry.expected == Expected::Running;
    runs.then_some(Visit::to(entry, *ports.get(slot)?, promises.address?))
}
