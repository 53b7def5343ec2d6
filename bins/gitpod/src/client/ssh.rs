//! `gitpod ssh`.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::connect::{connect, connect_ssh, failure};
use super::ssh_stdio;
use crate::cli::{SshArgs, StateDir};
use crate::exit::{Failure, Kind};
use crate::local::{DescribeRequest, Workspace};
use crate::ssh::{Endpoint, HOST_KEY_ALIAS, SUFFIX, SshDir, UnquotablePath, config_path, local};
use crate::state_dir;

/// Becomes the system's `ssh`, logged in to a workspace; so its terminal, its signals
/// and its exit code are those of this command.
pub(crate) async fn ssh(args: SshArgs) -> Result<(), Failure> {
    let workspace = describe(&args).await?;
    let endpoint = endpoint(&args.state).await?;
    if args.stdio {
        return ssh_stdio::carry(endpoint).await;
    }
    let id = &workspace.id;
    // Others are started by whoever logs in.
    if workspace.phase != "running" && workspace.wake == "never" {
        return Err(does_not_run(id, &workspace.phase));
    }
    if let Some(why) = refusal(endpoint).await {
        return Err(takes_nobody(endpoint, &why));
    }
    let dir = SshDir::of(&state_dir::locate(args.state.state_dir.as_deref())?);
    let mut command = Command::new("ssh");
    command.args(options(&dir, id, endpoint).map_err(|why| {
        Failure::failed("cannot tell ssh where the keys are")
            .because(&why)
            .fix("use a state directory with a plain name (--state-dir)")
    })?);
    command.arg(if args.tty { "-tt" } else { "-oRequestTTY=auto" });
    command.arg(endpoint.address().ip().to_string());
    command.args(&args.command);
    // Comes back only if it cannot be run.
    Err(cannot_run(&command.exec(), &endpoint.command_line(id)))
}

fn does_not_run(id: &str, phase: &str) -> Failure {
    let start = format!("gitpod start {id}");
    let fix = match phase {
        "stopped" => format!("start it with: {start}"),
        "stopping" => format!("when it has stopped, start it with: {start}"),
        _ => format!("`{start}` waits until it runs; then try again"),
    };
    let what = match phase {
        "stopped" | "stopping" => format!("workspace {id} does not run"),
        _ => format!("workspace {id} does not run yet"),
    };
    Failure::failed(what).why(format!("it is {phase}")).fix(fix)
}

/// What the workspace is, also if it was named as a host of `ssh_config`.
async fn describe(args: &SshArgs) -> Result<Workspace, Failure> {
    let id = args.id.strip_suffix(SUFFIX).unwrap_or(&args.id);
    let request = DescribeRequest {
        workspace_id: id.to_owned(),
    };
    let answer = connect(&args.state).await?.describe(request).await;
    let answer = answer.map_err(|why| failure("cannot find the workspace", &why))?;
    Ok(answer.into_inner().workspace.unwrap_or_default())
}

/// Where the gateway of the running `up` is.
pub(super) async fn endpoint(state: &StateDir) -> Result<Endpoint, Failure> {
    let answer = connect_ssh(state)
        .await?
        .describe(local::DescribeRequest {})
        .await;
    let answer = answer.map_err(|why| failure("cannot use SSH", &why))?;
    let address = answer.into_inner().address.parse();
    let address =
        address.map_err(|why| Failure::failed("cannot tell where SSH is").because(&why))?;
    Ok(Endpoint::new(address))
}

/// Why the gateway would not talk to `ssh`, which would tell no more than that it was refused.
async fn refusal(gateway: Endpoint) -> Option<io::Error> {
    let greeted = async {
        let mut stream = TcpStream::connect(gateway.address()).await?;
        stream.read_u8().await
    };
    // Who is slow may still answer.
    let greeted = tokio::time::timeout(PATIENCE, greeted).await.ok()?;
    greeted.err()
}

const PATIENCE: Duration = Duration::from_secs(3);

/// That `up` answers commands, but no clients of SSH.
pub(super) fn takes_nobody(gateway: Endpoint, why: &io::Error) -> Failure {
    let at = gateway.address();
    Failure::new(
        Kind::NotRunning,
        "`gitpod up` takes no more SSH connections",
    )
    .why(format!(
        "it is about to end, or has as many as it takes; its gateway at {at} says: {why}"
    ))
    .fix("if it ends, wait until it has, start it again with `gitpod up`, and connect again")
}

/// What is decided here, whatever the user's own configuration says: who, where, with
/// which key, and that no other server is taken for the gateway.
fn options(dir: &SshDir, id: &str, at: Endpoint) -> Result<Vec<OsString>, UnquotablePath> {
    let path = |name: &str, path: &Path| Ok(format!("-o{name}={}", config_path(path)?));
    let options = vec![
        "-oProxyCommand=none".to_owned(),
        format!("-oHostKeyAlias={HOST_KEY_ALIAS}"),
        path("UserKnownHostsFile", &dir.known_hosts())?,
        "-oGlobalKnownHostsFile=/dev/null".to_owned(),
        "-oStrictHostKeyChecking=yes".to_owned(),
        "-oIdentitiesOnly=yes".to_owned(),
        path("IdentityFile", &dir.own_key())?,
        format!("-oUser={id}"),
        format!("-oPort={}", at.address().port()),
    ];
    Ok(options.into_iter().map(OsString::from).collect())
}

fn cannot_run(why: &io::Error, by_hand: &str) -> Failure {
    if why.kind() == io::ErrorKind::NotFound {
        return Failure::failed("no ssh client is installed")
            .why("there is no program `ssh` on the search path")
            .fix(format!(
                "install OpenSSH's client (Debian: apt-get install openssh-client), \
                 or use another one as for: {by_hand}"
            ));
    }
    Failure::failed("cannot run ssh").because(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fix_is_that_of_the_phase() {
        for (phase, wanted) in [
            ("stopped", "start it with: gitpod start x"),
            ("initializing", "`gitpod start x` waits until it runs"),
            ("pending", "does not run yet"),
            ("stopping", "when it has stopped"),
        ] {
            let told = does_not_run("x", phase).to_string();
            assert!(told.contains(wanted), "{phase}: {told}");
        }
    }
}
