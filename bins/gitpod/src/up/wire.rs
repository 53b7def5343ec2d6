//! Where the concrete parts of `up` meet.
use super::config::Config;
use crate::exit::Failure;
use crate::state_dir::HeldStateDir;
use crate::workspaces::Workspaces;
use std::net::SocketAddr;
use tokio::net::TcpListener;
pub(super) struct System {
    pub(super) workspaces: Workspaces,
}
impl System {
    pub(super) async fn open(
        _c: &Config,
        _h: &HeldStateDir,
        _a: SocketAddr,
    ) -> Result<Self, Failure> {
        Err(Failure::failed("x"))
    }
    pub(super) async fn run(
        self,
        _l: TcpListener,
        _e: impl Future<Output = ()>,
    ) -> Result<(), Failure> {
        Ok(())
    }
}
