//! The way to the SSH server of a local workspace.

use std::io::{self, Read};
use std::path::Path;
use std::time::SystemTime;

use async_trait::async_trait;
use gitpod_lifecycle::process::{Layout, ShortPath};
use gitpod_sshgw::{
    Authenticated, PublicKey, Upstream, UpstreamConnector, UpstreamError, UpstreamLogin, UserCa,
};
use tokio::net::UnixStream;
use tokio::task::spawn_blocking;

use crate::private_file;

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
        let host_key = spawn_blocking(move || read_key(&host_key)).await;
        let host_key = host_key.map_err(unreachable)?.map_err(absent)?;
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

/// Its directory is the workspace's to write in.
fn read_key(path: &Path) -> io::Result<String> {
    io::read_to_string(private_file::open_own(path)?.take(MOST_BYTES))
}

/// Keys with long comments are not longer.
const MOST_BYTES: u64 = 16 * 1024;

fn absent(why: io::Error) -> UpstreamError {
    match why.kind() {
        io::ErrorKind::NotFound => UpstreamError::Absent,
        _ => unreachable(why),
    }
}

fn unreachable(why: impl std::error::Error + Send + Sync + 'static) -> UpstreamError {
    UpstreamError::Unreachable(Box::new(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipe_in_the_place_of_a_host_key_holds_up_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ssh_host_key.pub");
        assert_eq!(read_key(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        private_file::make_pipe(&path);
        assert!(read_key(&path).is_err());
    }
}
