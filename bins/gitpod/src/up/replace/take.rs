//! The new one's side.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use gitpod_lifecycle::process::ShortPath;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::time::timeout;

use super::passing::Secret;
use super::{Hello, PROTOCOL, Reply, SERVING, SOCKET, fds};
use crate::cli::SshListen;
use crate::exit::Failure;
use crate::up::config::Config;
use crate::up::doors::Doors;

/// Who has given it.
#[derive(Debug)]
pub(in crate::up) struct Predecessor(UnixStream);

impl Predecessor {
    /// Tells it that its successor serves.
    pub(in crate::up) async fn hear_of_serving(&self) {
        if let Err(why) = fds::send(&self.0, SERVING, &[]).await {
            tracing::debug!(%why, "the one before has ended");
        }
    }
}

/// How long the old one may take to let go: it finishes what it writes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Takes over from the `up` that uses the state directory; `None` if there is none.
///
/// Everything else that can be refused must have been, before this is called.
pub(in crate::up) async fn take(
    config: &Config,
    secret: &Secret,
) -> Result<Option<(Doors, Predecessor)>, Failure> {
    let cannot = |why: io::Error| {
        Failure::failed("cannot take over from the `gitpod up` that runs")
            .because(&why)
            .fix("stop it, and start this one without --replace; workspaces are adopted")
    };
    let Some(stream) = connect(config).await.map_err(cannot)? else {
        return Ok(None);
    };
    let hello = Hello {
        protocol: PROTOCOL,
        pid: std::process::id(),
        http: config.listen,
        ssh: match config.ssh_listen {
            SshListen::At(address) => Some(address),
            SshListen::Off => None,
        },
        secret: secret.expose().to_owned(),
    };
    let hello = serde_json::to_vec(&hello).map_err(|why| cannot(why.into()))?;
    fds::send(&stream, &hello, &[]).await.map_err(cannot)?;
    let answer = timeout(PATIENCE, fds::receive(&stream)).await;
    let (message, given) = answer.map_err(|why| cannot(why.into()))?.map_err(cannot)?;
    if message.is_empty() {
        return Ok(None); // it ended in this moment
    }
    match serde_json::from_slice(&message).map_err(|why| cannot(why.into()))? {
        Reply::Refused(why) => Err(Failure::failed("the `gitpod up` that runs does not let go")
            .why(why)
            .fix("start this one with the same addresses, or stop the other one first")),
        Reply::Given { ssh } => {
            let doors = doors(given, ssh).map_err(cannot)?;
            Ok(Some((doors, Predecessor(stream))))
        }
    }
}

async fn connect(config: &Config) -> io::Result<Option<UnixStream>> {
    let socket = match ShortPath::of(&config.state_dir.join(SOCKET)) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        socket => socket?,
    };
    match UnixStream::connect(socket.as_path()).await {
        Err(why)
            if [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused]
                .contains(&why.kind()) =>
        {
            Ok(None)
        }
        Ok(stream) if !fds::is_of_same_user(&stream) => Err(io::ErrorKind::PermissionDenied.into()),
        stream => stream.map(Some),
    }
}

/// The listeners in `given`, in their order.
pub(super) fn doors(given: Vec<OwnedFd>, ssh: bool) -> io::Result<Doors> {
    let mut given = given.into_iter();
    let mut next = || given.next().ok_or(io::ErrorKind::UnexpectedEof);
    let tcp = |fd: OwnedFd| TcpListener::from_std(fd.into());
    Ok(Doors {
        http: tcp(next()?)?,
        ssh: match ssh {
            true => Some(tcp(next()?)?),
            false => None,
        },
        commands: Some(UnixListener::from_std(next()?.into())?),
    })
}
