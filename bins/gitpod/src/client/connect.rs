//! Finding a running `up`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gitpod_lifecycle::process::ShortPath;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};
use tower::service_fn;

use super::again::{Persistent, is_lost};
use crate::cli::StateDir;
use crate::exit::{Failure, Kind};
use crate::local::access_client::AccessClient;
use crate::local::page_client::PageClient;
use crate::local::workspaces_client::WorkspacesClient;
use crate::ssh::local::ssh_client::SshClient;
use crate::state_dir;

/// What a running `up` says of workspaces.
pub(super) async fn connect(state: &StateDir) -> Result<WorkspacesClient<Persistent>, Failure> {
    Ok(WorkspacesClient::new(channel(state).await?))
}

/// What a running `up` says of who may use workspaces.
pub(super) async fn connect_access(state: &StateDir) -> Result<AccessClient<Persistent>, Failure> {
    Ok(AccessClient::new(channel(state).await?))
}

/// What a running `up` says of itself and its page.
pub(super) async fn connect_page(state: &StateDir) -> Result<PageClient<Persistent>, Failure> {
    Ok(PageClient::new(channel(state).await?))
}

/// What a running `up` says of its SSH gateway.
pub(super) async fn connect_ssh(state: &StateDir) -> Result<SshClient<Persistent>, Failure> {
    Ok(SshClient::new(channel(state).await?))
}

/// Dials the manager's socket in the state directory.
async fn channel(state: &StateDir) -> Result<Persistent, Failure> {
    let dir = state_dir::locate(state.state_dir.as_deref())?;
    let socket = dir.join(state_dir::SOCKET);
    let not_running = {
        let socket = socket.clone();
        move |cause: &(dyn std::error::Error + 'static)| not_running(&socket, cause)
    };
    // Dialled once by hand: tonic's own error hides why it failed.
    let probe = ShortPath::of(&socket).map_err(|why| not_running(&why))?;
    UnixStream::connect(probe.as_path())
        .await
        .map_err(|why| not_running(&why))?;
    endpoint()
        .connect_with_connector(service_fn(move |_: Uri| dial(socket.clone())))
        .await
        .map(Persistent::new)
        .map_err(|why| not_running(&why))
}

/// The manager at `socket`, dialled when it is needed, and again when it was lost.
pub(crate) fn manager_channel(socket: PathBuf) -> Channel {
    endpoint().connect_with_connector_lazy(service_fn(move |_: Uri| dial(socket.clone())))
}

fn endpoint() -> Endpoint {
    Endpoint::from_static("http://up.localhost").connect_timeout(Duration::from_secs(5))
}

async fn dial(socket: PathBuf) -> std::io::Result<TokioIo<UnixStream>> {
    let short = ShortPath::of(&socket)?;
    Ok(TokioIo::new(UnixStream::connect(short.as_path()).await?))
}

fn not_running(socket: &Path, cause: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::new(Kind::NotRunning, "`gitpod up` is not running")
        .why(format!("{} does not answer: {cause}", socket.display()))
        .fix("run `gitpod up` first, or name its state directory with --state-dir or GITPOD_STATE_DIR")
}

/// What a refusal of the server means to the user of a command.
pub(super) fn failure(what: &str, status: &Status) -> Failure {
    let message = status.message();
    match status.code() {
        Code::NotFound => Failure::new(Kind::NoSuchWorkspace, message)
            .fix("`gitpod list` shows the workspaces there are"),
        Code::DeadlineExceeded => Failure::new(Kind::TimedOut, what).why(message),
        _ if is_lost(status) => Failure::new(Kind::NotRunning, what)
            .why("`gitpod up` has ended before it answered; it may have done this, or not")
            .fix("start it again with `gitpod up`, then look with `gitpod list`"),
        _ => match message.split_once("; fix: ") {
            Some((why, fix)) => Failure::failed(what).why(why).fix(fix),
            None => Failure::failed(what).why(message),
        },
    }
}
