//! A gateway with an authenticator of its own: tickets instead of keys.
//!
//! ```sh
//! cargo run -p gitpod-examples --example ssh_gateway
//! ```
//!
//! Prints:
//!
//! ```text
//! with a ticket     workspace pink-panda-ns35kd21 is stopped; start it with: my-tool up pink-panda-ns35kd21
//! with another      no entry
//! ```

#![allow(clippy::print_stdout)]

use std::process::{Command, Output};
use std::sync::Arc;

use gitpod_examples::Error;
use gitpod_routing::{MemoryProvider, OwnerToken, WorkspaceInfo};
use gitpod_sshgw::{
    Authenticate, AuthenticatorError, Credential, Gateway, LoginName, PrivateKey, SshAuthenticator,
    TcpUpstream, UpstreamError, Verdict,
};
use tokio::net::TcpListener;

/// Admits whoever has a ticket: `ssh pink-panda-ns35kd21#TICKET@…`.
#[derive(Debug)]
struct Tickets(OwnerToken);

#[async_trait::async_trait]
impl SshAuthenticator for Tickets {
    async fn decide(
        &self,
        login: &LoginName,
        credential: &Credential<'_>,
        _: &WorkspaceInfo,
    ) -> Result<Verdict, AuthenticatorError> {
        Ok(match (credential, &login.token) {
            (Credential::None, Some(token)) if self.0.matches(token.expose().as_bytes()) => {
                Verdict::Admit
            }
            _ => Verdict::Continue,
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let workspaces = MemoryProvider::new();
    let id = "pink-panda-ns35kd21".parse()?;
    workspaces.insert(WorkspaceInfo::new(id, "i-1".parse()?, OwnerToken::new("")));
    let tickets = Arc::new(Tickets(OwnerToken::new("t-42")));
    // No workspace runs here: nobody is asked how to log in to one.
    let connector = Arc::new(TcpUpstream::new(|_| Err(UpstreamError::Absent)));
    let gateway = Gateway::new(Authenticate::new(Arc::new(workspaces), tickets), connector)
        .with_host_keys([PrivateKey::generate()?])
        .with_start_command("my-tool up");
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move { gateway.serve(listener, std::future::pending()).await });

    let entered = tokio::task::spawn_blocking(move || ssh(port, "t-42")).await??;
    println!(
        "with a ticket     {}",
        String::from_utf8_lossy(&entered.stderr).trim_end()
    );
    let refused = tokio::task::spawn_blocking(move || ssh(port, "t-43")).await??;
    let answer = if refused.status.code() == Some(255) {
        "no entry"
    } else {
        "entered"
    };
    println!("with another      {answer}");
    Ok(())
}

fn ssh(port: u16, ticket: &str) -> std::io::Result<Output> {
    Command::new("ssh")
        .args([
            "-F",
            "/dev/null",
            "-p",
            &port.to_string(),
            "-o",
            "LogLevel=ERROR",
        ])
        .args(["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"])
        .args([
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "PubkeyAuthentication=no",
        ])
        .args([&format!("pink-panda-ns35kd21#{ticket}@127.0.0.1"), "true"])
        .output()
}
