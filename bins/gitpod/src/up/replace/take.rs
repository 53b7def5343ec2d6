//! The new one's side.

use std::os::fd::OwnedFd;
use std::time::Duration;
use std::{fmt, io};

use gitpod_lifecycle::process::ShortPath;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::time::timeout;

use super::passing::Secret;
use super::{GO, Hello, PROTOCOL, READY, Reply, SOCKET, TOO_LATE, fds};
use crate::cli::SshListen;
use crate::exit::Failure;
use crate::up::config::Config;
use crate::up::doors::Doors;

/// Who has given it.
pub(in crate::up) struct Predecessor {
    stream: UnixStream,
    within: Duration,
    secrets: Vec<String>,
}

impl fmt::Debug for Predecessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Predecessor").finish_non_exhaustive() // it has secrets
    }
}

impl Predecessor {
    /// `secret`, and those by which requests may still be passed on.
    pub(in crate::up) fn believed(&self, secret: Secret) -> Secret {
        secret.with_all(self.secrets.clone())
    }

    /// Waits for the word that it goes on itself after all.
    pub(in crate::up) async fn goes_on(&self) -> Failure {
        match fds::receive(&self.stream).await {
            Ok((word, _)) if word == TOO_LATE => self.too_late(),
            // It has ended, and is nobody's rival any more.
            _ => std::future::pending().await,
        }
    }

    /// Tells it that its successor is ready, and waits until that may serve. Whoever does not answer serves nobody.
    ///
    /// # Errors
    ///
    /// If it goes on itself.
    pub(in crate::up) async fn let_serve(&self) -> Result<(), Failure> {
        let answered = async {
            fds::send(&self.stream, READY, &[]).await?;
            fds::receive(&self.stream).await
        };
        match timeout(self.within, answered).await {
            Ok(Ok((word, _))) if word == TOO_LATE => Err(self.too_late()),
            Ok(Ok((word, _))) if word == GO => Ok(()),
            _ => {
                tracing::warn!("the one before has ended, or hangs; this one serves");
                Ok(())
            }
        }
    }

    fn too_late(&self) -> Failure {
        Failure::failed("cannot take over from the `gitpod up` that runs: it goes on")
            .why(format!("this one was not ready within {:?}", self.within))
            .fix("try again, with more time by --replace-within")
    }
}

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
        within: u64::try_from(config.replace_within.as_millis()).unwrap_or(u64::MAX),
    };
    let hello = serde_json::to_vec(&hello).map_err(|why| cannot(why.into()))?;
    if fds::send(&stream, &hello, &[]).await.is_err() {
        return Ok(None); // it ended in this moment
    }
    let within = config.replace_within;
    // It finishes what it writes before it lets go.
    let answer = timeout(within, fds::receive(&stream)).await;
    let answer = answer.map_err(|_| hangs(within))?;
    let (message, given) = answer.unwrap_or_default(); // an error if it was killed with the hello unread
    if message.is_empty() {
        return Ok(None);
    }
    match serde_json::from_slice(&message).map_err(|why| cannot(why.into()))? {
        Reply::Refused(why) => Err(Failure::failed("the `gitpod up` that runs does not let go")
            .why(why)
            .fix("start this one with the same addresses, or stop the other one first")),
        Reply::Given { ssh, secrets } => {
            let doors = doors(given, ssh).map_err(cannot)?;
            let before = Predecessor {
                stream,
                within,
                secrets,
            };
            Ok(Some((doors, before)))
        }
    }
}

fn hangs(within: Duration) -> Failure {
    Failure::failed("cannot take over from the `gitpod up` that runs")
        .why(format!("it has not let go within {within:?}; it goes on, if it does not hang"))
        .fix("try again, with more time by --replace-within; or stop it, and start this one: workspaces are adopted")
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
