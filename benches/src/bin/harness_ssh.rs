//! The SSH gateway as one process on one core, for a harness that gives the same job to
//! others.
//!
//! ```sh
//! harness_ssh --addr 127.0.0.1:2250 --host-key FILE --upstream 127.0.0.1:2202 --upstream-key FILE --user USER
//! ```
//!
//! Lets in `pink-panda-ns35kd21` by the key whose private half is in `--upstream-key`,
//! and logs in to the server at `--upstream` with the same key, as `--user`.

#![allow(clippy::print_stdout)]

use std::net::SocketAddr;
use std::sync::Arc;

use gitpod_routing::{MemoryProvider, OwnerToken, WorkspaceInfo};
use gitpod_sshgw::{
    Authenticate, Gateway, OwnerAuthenticator, PrivateKey, SshLimits, TcpUpstream, UpstreamLogin,
};
use tokio::net::TcpListener;

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let key: PrivateKey = std::fs::read_to_string(argument("--upstream-key")?)?.parse()?;
    let host_key: PrivateKey = std::fs::read_to_string(argument("--host-key")?)?.parse()?;
    let upstream: SocketAddr = argument("--upstream")?.parse()?;
    let workspaces = MemoryProvider::new();
    let (id, instance) = ("pink-panda-ns35kd21".parse()?, "i-1".parse()?);
    let mut info = WorkspaceInfo::new(id, instance, OwnerToken::new("")).running_at(upstream.ip());
    info.ssh_public_keys = vec![key.public_key().to_string().into()];
    workspaces.insert(info);
    let login = UpstreamLogin::new(argument("--user")?, key, host_key.public_key().clone());
    let connector = TcpUpstream::new(move |_| Ok(login.clone()))
        .with_port(upstream.port())
        .with_workspaces_on_this_machine();
    let owner = Arc::new(OwnerAuthenticator::new());
    let mut limits = SshLimits::default();
    limits.sessions_per_workspace = 10_000;
    limits.strangers_per_source = 10_000;
    let authenticate = Authenticate::new(Arc::new(workspaces), owner);
    let gateway = Gateway::new(authenticate, Arc::new(connector))
        .with_limits(limits)
        .with_host_keys([host_key]);
    let listener = TcpListener::bind(argument("--addr")?).await?;
    gateway.serve(listener, std::future::pending()).await;
    Ok(())
}

fn argument(name: &str) -> Result<String, Error> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    let value = arguments.nth(1);
    value.ok_or_else(|| format!("{name} is missing; see the head of harness_ssh.rs").into())
}
