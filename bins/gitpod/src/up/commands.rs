//! What commands ask, over the socket in the state directory.

use std::time::Duration;

use gitpod_lifecycle::grpc::WorkspaceManagerService;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use super::cut::Cut;
use super::wire::System;
use crate::local::access_server::AccessServer;
use crate::local::page_server::PageServer;
use crate::local::workspaces_server::WorkspacesServer;
use crate::ssh::local::ssh_server::SshServer;

/// Answers them until it ends.
#[derive(Debug)]
pub(super) struct Commands {
    no_more: CancellationToken,
    /// Connections break.
    cut: CancellationToken,
    task: JoinHandle<Result<(), tonic::transport::Error>>,
}

/// For answers that are under way. Commands that wait for longer ask whoever comes next.
const FINISH: Duration = Duration::from_secs(1);

impl Commands {
    /// Answers those that come to `socket`, about `system`.
    pub(super) fn serve(socket: UnixListener, system: &System) -> Self {
        let (no_more, cut) = (CancellationToken::new(), CancellationToken::new());
        let broken = cut.clone();
        let incoming = UnixListenerStream::new(socket)
            .map(move |stream| stream.map(|stream| Cut::new(stream, broken.clone())));
        let served = Server::builder()
            .add_service(WorkspacesServer::new(system.workspaces.clone()))
            .add_service(AccessServer::new(system.workspaces.clone()))
            .add_service(PageServer::new(system.page.clone()))
            .add_service(SshServer::new(system.ssh.service()))
            .add_service(WorkspaceManagerService::new(system.manager.clone()))
            .serve_with_incoming_shutdown(incoming, no_more.clone().cancelled_owned());
        let task = tokio::spawn(served);
        Self { no_more, cut, task }
    }

    /// Takes no more, and finishes those that do not take long.
    pub(super) async fn end(mut self) {
        self.no_more.cancel();
        if timeout(FINISH, &mut self.task).await.is_err() {
            self.cut.cancel();
            if timeout(FINISH, &mut self.task).await.is_err() {
                self.task.abort();
            }
        }
    }
}
