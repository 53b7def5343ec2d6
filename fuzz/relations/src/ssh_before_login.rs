//! What the SSH gateway reads from those who were not let in.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use gitpod_routing::MemoryProvider;
use gitpod_sshgw::{
    Authenticate, Authenticated, Gateway, OwnerAuthenticator, PrivateKey, Upstream,
    UpstreamConnector, UpstreamError,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

/// Whatever a client says before it is let in, the gateway does not panic, comes to an
/// end when the client does, and asks no workspace.
///
/// Even first bytes: the rest is what the client says. Odd ones: the rest is made into
/// packets, each as long as its own first byte says, behind a greeting.
pub fn ssh_before_login(data: &[u8]) {
    let said = match data.split_first() {
        Some((kind, rest)) if kind % 2 == 1 => packets(rest),
        Some((_, rest)) => rest.to_vec(),
        None => return,
    };
    static GATEWAY: OnceLock<Gateway> = OnceLock::new();
    let gateway = GATEWAY.get_or_init(gateway);
    #[expect(clippy::unwrap_used, reason = "without one there is nothing to find")]
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let peer = ([192, 0, 2, 1], 2200).into();
        let served = gateway.serve_connection(theirs, peer);
        let both = async { tokio::join!(served, client(ours, &said)) };
        let ended = tokio::time::timeout(Duration::from_secs(10), both).await;
        assert!(ended.is_ok(), "it does not end");
    });
    assert!(!PANICKED.load(Ordering::Relaxed), "a task panicked");
}

async fn client(mut stream: DuplexStream, said: &[u8]) {
    let (mut read, mut write) = tokio::io::split(&mut stream);
    let says = async {
        drop(write.write_all(said).await);
        drop(write.shutdown().await);
    };
    let mut heard = Vec::new();
    let (_, heard) = tokio::join!(says, read.read_to_end(&mut heard));
    drop(heard);
}

/// A greeting, and packets as they are before keys are exchanged.
fn packets(mut rest: &[u8]) -> Vec<u8> {
    let mut said = b"SSH-2.0-fuzz\r\n".to_vec();
    while let Some((length, behind)) = rest.split_first() {
        let (payload, behind) = behind.split_at(usize::from(*length).min(behind.len()));
        rest = behind;
        let padding = 16 - (payload.len() + 5) % 8;
        let length = u32::try_from(payload.len() + padding + 1).unwrap_or(0);
        said.extend(length.to_be_bytes());
        said.push(u8::try_from(padding).unwrap_or(0));
        said.extend(payload);
        said.extend(vec![0; padding]);
    }
    said
}

fn gateway() -> Gateway {
    // Tasks that panic are caught by the runtime.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICKED.store(true, Ordering::Relaxed);
        usual(panic);
    }));
    let workspaces = Arc::new(MemoryProvider::new());
    let authenticate = Authenticate::new(workspaces, Arc::new(OwnerAuthenticator::new()));
    let gateway = Gateway::new(authenticate, Arc::new(Nobody));
    gateway.with_host_keys(PrivateKey::generate().ok())
}

static PANICKED: AtomicBool = AtomicBool::new(false);

/// There is no workspace, so nobody is let in.
#[derive(Debug)]
struct Nobody;

#[async_trait]
impl UpstreamConnector for Nobody {
    async fn connect(&self, _: &Authenticated) -> Result<Upstream, UpstreamError> {
        PANICKED.store(true, Ordering::Relaxed);
        Err(UpstreamError::Absent)
    }
}
