//! The old one's side.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use gitpod_routing::OwnerToken;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

use super::passing::Secret;
use super::{GO, Hello, PROTOCOL, READY, Reply, SOCKET, TOO_LATE, fds, take};
use crate::exit::Failure;
use crate::state_dir::HeldStateDir;
use crate::up::doors::Doors;

/// Waits for somebody who wants to take over.
#[derive(Debug)]
pub(in crate::up) struct Offer {
    listener: UnixListener,
    http: SocketAddr,
    ssh: Option<SocketAddr>,
}

/// For a hello, which is short, and for an end.
const PATIENCE: Duration = Duration::from_secs(5);

impl Offer {
    /// Listens in `held`, for what is served at these addresses.
    pub(in crate::up) fn open(
        held: &HeldStateDir,
        http: SocketAddr,
        ssh: Option<SocketAddr>,
    ) -> Result<Self, Failure> {
        let listener = held.listen(SOCKET).and_then(UnixListener::from_std);
        let listener = listener
            .map_err(|why| Failure::failed("cannot listen for a successor").because(&why))?;
        Ok(Self {
            listener,
            http,
            ssh,
        })
    }

    /// Waits for a successor who may have everything.
    pub(in crate::up) async fn taken(&self) -> Successor {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => match self.hear(stream).await {
                    Ok(Some(successor)) => return successor,
                    Ok(None) => {}
                    Err(why) => tracing::debug!(%why, "whoever wanted to take over went away"),
                },
                Err(why) => {
                    tracing::warn!(%why, "cannot hear who wants to take over");
                    sleep(PATIENCE).await;
                }
            }
        }
    }

    async fn hear(&self, stream: UnixStream) -> io::Result<Option<Successor>> {
        if !fds::is_of_same_user(&stream) {
            return Ok(None); // who could not have opened the socket either
        }
        let process = process_behind(&stream);
        let (message, _) = timeout(PATIENCE, fds::receive(&stream)).await??;
        if message.is_empty() {
            return Ok(None);
        }
        let hello = serde_json::from_slice::<Hello>(&message);
        let refusal = match (&hello, &process) {
            (Ok(hello), Ok(_)) => self.refusal(hello),
            (Ok(_), Err(why)) => Some(format!("it cannot watch over this one: {why}")),
            (Err(_), _) => Some("it speaks another language".to_owned()),
        };
        match (hello, process, refusal) {
            (Ok(hello), Ok(process), None) => {
                is_connected(&stream)?;
                Ok(Some(Successor {
                    stream,
                    process,
                    within: Duration::from_millis(hello.within),
                    pid: hello.pid,
                    secret: Secret::new(OwnerToken::new(hello.secret)),
                }))
            }
            (_, _, refusal) => {
                let reply = Reply::Refused(refusal.unwrap_or_default());
                fds::send(&stream, &serde_json::to_vec(&reply)?, &[]).await?;
                Ok(None)
            }
        }
    }

    fn refusal(&self, hello: &Hello) -> Option<String> {
        if hello.protocol != PROTOCOL {
            return Some("it is of another version; stop this one, and start the other".to_owned());
        }
        if !fits(hello.http, self.http) {
            return Some(format!("it listens on {0}: say --listen {0}", self.http));
        }
        match (hello.ssh, self.ssh) {
            (None, None) => None,
            (Some(wanted), Some(has)) if fits(wanted, has) => None,
            (_, Some(has)) => Some(format!(
                "it listens for SSH on {has}: say --ssh-listen {has}"
            )),
            (_, None) => Some("it has no SSH: say --ssh-listen off".to_owned()),
        }
    }
}

/// Whether who wants `wanted` is content with `has`.
fn fits(wanted: SocketAddr, has: SocketAddr) -> bool {
    wanted.ip() == has.ip() && [0, has.port()].contains(&wanted.port())
}

/// The process at the other end, whatever becomes of its number.
#[expect(
    deprecated,
    reason = "what replaces it is unsafe, for types whose descriptor may change; that of OwnedFd does not"
)]
fn process_behind(stream: &UnixStream) -> io::Result<AsyncFd<OwnedFd>> {
    let pid = stream.peer_cred()?.pid().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::NotFound)?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    AsyncFd::with_interest(process, Interest::READABLE)
}

/// An error if nobody is at the other end any more: then its number may have been somebody else's already.
fn is_connected(stream: &UnixStream) -> io::Result<()> {
    match recv(stream, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Err(Errno::WOULDBLOCK) => Ok(()),
        Err(why) => Err(why.into()),
        Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Why nobody has taken over.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(in crate::up) enum NotTaken {
    #[error("has ended")]
    Ended,
    #[error("was not ready within {0:?}")]
    TooLate(Duration),
}

/// Who takes over.
#[derive(Debug)]
pub(in crate::up) struct Successor {
    stream: UnixStream,
    process: AsyncFd<OwnedFd>,
    within: Duration,
    pub(in crate::up) pid: u32,
    pub(in crate::up) secret: Secret,
}

impl Successor {
    /// Gives away what is `kept`. Nothing else may be held any more.
    pub(in crate::up) async fn give(&self, kept: &Kept) -> io::Result<()> {
        let reply = Reply::Given {
            ssh: kept.ssh.is_some(),
            secrets: kept.believed.expose_all(),
        };
        let message = serde_json::to_vec(&reply)?;
        fds::send(&self.stream, &message, &kept.fds()).await
    }

    /// Waits until it is ready, and has it serve: nothing can be taken back from then on.
    ///
    /// # Errors
    ///
    /// If it has ended before, or takes longer than it said.
    pub(in crate::up) async fn takes_over(&self) -> Result<(), NotTaken> {
        let said = timeout(self.within, fds::receive(&self.stream)).await;
        let said = said.map_err(|_| NotTaken::TooLate(self.within))?;
        match said {
            Ok((word, _)) if word == READY => {
                let sent = fds::send(&self.stream, GO, &[]).await;
                sent.map_err(|_| NotTaken::Ended)
            }
            _ => Err(NotTaken::Ended),
        }
    }

    /// Sees to it that it is gone, with all that it holds: it is told, and then ended.
    pub(in crate::up) async fn see_off(&self) {
        let _told = fds::send(&self.stream, TOO_LATE, &[]).await; // fails if it has ended
        if timeout(PATIENCE, self.process.readable()).await.is_ok() {
            return;
        }
        tracing::warn!(
            pid = self.pid,
            "whoever wanted to take over hangs, and is killed"
        );
        let _killed = pidfd_send_signal(self.process.get_ref(), Signal::KILL);
        let _gone = timeout(PATIENCE, self.process.readable()).await;
    }
}

/// The listeners, held open besides whoever accepts on them.
#[derive(Debug)]
pub(in crate::up) struct Kept {
    http: OwnedFd,
    ssh: Option<OwnedFd>,
    commands: OwnedFd,
    /// Whose requests are believed to be passed on.
    believed: Secret,
}

impl Kept {
    pub(in crate::up) fn of(
        http: &TcpListener,
        ssh: Option<&TcpListener>,
        commands: &UnixListener,
        believed: &Secret,
    ) -> Result<Self, Failure> {
        let copy = |fd: BorrowedFd<'_>| {
            let copied = fd.try_clone_to_owned();
            copied.map_err(|why| Failure::failed("cannot keep listeners open").because(&why))
        };
        Ok(Self {
            http: copy(http.as_fd())?,
            ssh: ssh.map(|ssh| copy(ssh.as_fd())).transpose()?,
            commands: copy(commands.as_fd())?,
            believed: believed.clone(),
        })
    }

    pub(in crate::up) fn believed(&self) -> &Secret {
        &self.believed
    }

    /// The listeners again, for who keeps them after all.
    pub(in crate::up) fn reopen(self) -> io::Result<Doors> {
        let has_ssh = self.ssh.is_some();
        let fds = std::iter::once(self.http).chain(self.ssh);
        take::doors(fds.chain([self.commands]).collect(), has_ssh)
    }

    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        let ssh = self.ssh.iter().map(AsFd::as_fd);
        let http = std::iter::once(self.http.as_fd());
        http.chain(ssh).chain([self.commands.as_fd()]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successor_takes_the_addresses_that_there_are() {
        for (wanted, has, expected) in [
            ("127.0.0.1:8080", "127.0.0.1:8080", true),
            ("127.0.0.1:0", "127.0.0.1:8080", true),
            ("127.0.0.1:8081", "127.0.0.1:8080", false),
            ("0.0.0.0:8080", "127.0.0.1:8080", false),
        ] {
            let fits = fits(wanted.parse().unwrap(), has.parse().unwrap());
            assert_eq!(fits, expected, "{wanted} for {has}");
        }
    }
}
