//! Two workspaces on one port of two addresses, and a proxy to both.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use gitpod_routing::{
    AccessPolicy, DirectConnector, MemoryProvider, OwnerToken, PodPorts, PortInfo, WorkspaceInfo,
    WorkspaceProxy,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::*;

pub(crate) const OTHER: &str = "blue-whale-ns35kd21";
pub(crate) const OTHER_TOKEN: &str = "0ther-owner-token";

/// What servers were sent: who got it, and the head as it came.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<(&'static str, String)>>>);

impl Seen {
    fn note(&self, who: &'static str, head: String) {
        self.0.lock().unwrap().push((who, head));
    }

    /// What has come since the last time.
    pub(crate) fn take(&self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// Who got something since the last time.
    pub(crate) fn who(&self) -> Vec<&'static str> {
        self.take().into_iter().map(|(who, _)| who).collect()
    }

    /// The target of the only request since the last time.
    pub(crate) fn target(&self) -> String {
        let seen = self.take();
        assert_eq!(seen.len(), 1, "{seen:?}");
        let line = seen[0].1.lines().next().unwrap();
        line.split(' ').nth(1).unwrap().to_owned()
    }
}

/// A proxy, and servers that answer with the name of the workspace they belong to.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) workspaces: MemoryProvider,
    /// Public in both.
    pub(crate) port: u16,
    /// Private in both, at the same server.
    pub(crate) private: u16,
    pub(crate) supervisor: u16,
    pub(crate) seen: Seen,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::changed(|proxy| proxy).await
    }

    pub(crate) async fn changed(change: impl FnOnce(WorkspaceProxy) -> WorkspaceProxy) -> Self {
        let seen = Seen::default();
        let port = serve_both(&seen, ["mine", "theirs"]).await;
        let private = serve_both(&seen, ["mine", "theirs"]).await;
        let supervisor = serve_both(&seen, ["my supervisor", "their supervisor"]).await;
        let workspaces = MemoryProvider::new();
        for (id, instance_id, token, last) in
            [(ID, "i-1", TOKEN, 1), (OTHER, "i-2", OTHER_TOKEN, 2)]
        {
            let info = WorkspaceInfo::new(
                id.parse().unwrap(),
                instance(instance_id),
                OwnerToken::new(token),
            );
            let ports = vec![PortInfo::new(port).public(), PortInfo::new(private)];
            workspaces.insert(info.running_at([127, 0, 0, last].into()).with_ports(ports));
        }
        let mut ports = PodPorts::new();
        ports.ide = port;
        ports.supervisor = supervisor;
        let connector = DirectConnector::new()
            .with_ports(ports)
            .with_loopback_allowed();
        let proxy = WorkspaceProxy::new(pattern(), Arc::new(workspaces.clone()))
            .with_policy(AccessPolicy::new(pattern(), "example.com"))
            .with_connector(Arc::new(connector));
        Self {
            address: serve_proxy(change(proxy)).await,
            workspaces,
            port,
            private,
            supervisor,
            seen,
        }
    }

    /// The host of the public port of the first workspace.
    pub(crate) fn host(&self) -> String {
        host(self.port)
    }

    /// What comes back for `bytes`, until the connection ends.
    pub(crate) async fn send(&self, bytes: impl AsRef<[u8]>) -> String {
        let bytes = bytes.as_ref();
        let exchange = async {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            // The proxy may have closed before all of a bad request has come.
            let _closed = stream.write_all(bytes).await;
            let mut answer = Vec::new();
            let _cut = stream.read_to_end(&mut answer).await;
            String::from_utf8_lossy(&answer).into_owned()
        };
        soon(&String::from_utf8_lossy(bytes), exchange).await
    }

    /// The answer to `GET target` for `host`, with more `fields`.
    pub(crate) async fn get(&self, host: &str, target: &str, fields: &str) -> String {
        let head = format!("GET {target} HTTP/1.1\nhost: {host}\nconnection: close\n{fields}\n");
        self.send(crlf(&head)).await
    }
}

/// The status of an answer; 0 if there is none.
pub(crate) fn status(answer: &str) -> u16 {
    let digits = answer.get(9..12).unwrap_or_default();
    digits.parse().unwrap_or_default()
}

/// One port on two addresses, with a server on each.
async fn serve_both(seen: &Seen, [first, second]: [&'static str; 2]) -> u16 {
    loop {
        let one = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = one.local_addr().unwrap().port();
        let Ok(two) = TcpListener::bind(("127.0.0.2", port)).await else {
            continue; // taken there
        };
        serve(one, first, seen.clone());
        serve(two, second, seen.clone());
        return port;
    }
}

fn serve(listener: TcpListener, who: &'static str, seen: Seen) {
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer_all(stream, who, seen.clone()));
        }
    });
}

async fn answer_all(mut stream: TcpStream, who: &'static str, seen: Seen) {
    loop {
        let head = read_head(&mut stream).await;
        if head.is_empty() {
            return;
        }
        seen.note(who, head);
        let length = who.len();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{who}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
