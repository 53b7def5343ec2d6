//! The way to the SSH server of a local workspace.

use std::io;
use std::time::SystemTime;

use async_trait::async_trait;
use gitpod_lifecycle::process::{Layout, ShortPath};
use gitpod_sshgw::{
    Authenticated, PublicKey, Upstream, UpstreamConnector, UpstreamError, UpstreamLogin, UserCa,
};
use tokio::net::UnixStream;

/// Dials the socket of a run's own SSH server, and takes no other for it.
#[derive(Debug)]
pub(super) struct LocalUpstream {
    pub(super) layout: Layout,
    pub(super) user_ca: UserCa,
}

/// Who sessions are, towards the workspace's server.
const USER: &str = "gitpod";

#[async_trait]
impl UpstreamConnector for LocalUpstream {
    async fn connect(&self, to: &Authenticated) -> Result<Upstream, UpstreamError> {
        let instance = &to.info().instance;
        let host_key = self.layout.ssh_host_key(instance);
        let host_key = tokio::fs::read_to_string(host_key).await.map_err(absent)?;
        let host_key: PublicKey = host_key.trim().parse().map_err(unreachable)?;
        let socket = ShortPath::of(&self.layout.ssh_socket(instance)).map_err(absent)?;
        let stream = UnixStream::connect(socket.as_path())
            .await
            .map_err(absent)?;
        let certificate = self.user_ca.certify(USER, SystemTime::now());
        let certificate = certificate.map_err(unreachable)?;
        let login = UpstreamLogin::new(USER, certificate, host_key);
        Ok(Upstream::new(stream, login).with_holds())
    }
}

fn absent(why: io::Error) -> UpstreamError {
    match why.kind() {
        io::ErrorKind::NotFound => UpstreamError::Absent,
        _ => unreachable(why),
    }
}

fn unreachable(why: impl std::error::Error + Send + Sync + 'static) -> UpstreamError {
    UpstreamError::Unreachable(Box::new(why))
}
