use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use russh::server::Handle;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::time::timeout;

use super::channel::Closed;
use super::inbound::Outlet;
use super::output::{Output, Stream};
use super::terminal::Terminal;
use crate::children::Child;
use crate::workspace::Stopping;

/// The streams of a program, our ends of them.
#[derive(Debug)]
pub(super) struct Streams {
    input: Sender,
    output: Receiver,
    error: Option<Receiver>,
}

impl Streams {
    /// Connects `command` to pipes.
    pub(super) fn pipes(command: &mut Command) -> io::Result<Self> {
        let (far_input, input) = io::pipe()?;
        let (output, far_output) = io::pipe()?;
        let (error, far_error) = io::pipe()?;
        command
            .stdin(far_input)
            .stdout(far_output)
            .stderr(far_error);
        Ok(Self {
            input: sender(input.into())?,
            output: receiver(output.into())?,
            error: Some(receiver(error.into())?),
        })
    }

    /// Connects `command` to a terminal.
    pub(super) fn terminal(command: &mut Command, terminal: &Terminal) -> io::Result<Self> {
        let far = || terminal.far.try_clone().map(File::from);
        command.stdin(far()?).stdout(far()?).stderr(far()?);
        Ok(Self {
            input: sender(terminal.near.try_clone()?)?,
            output: receiver(terminal.near.try_clone()?)?,
            error: None,
        })
    }
}

/// Closes the program's ends that `command` holds in this process; else its output would never end.
pub(super) fn let_go(command: &mut Command) {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
}

fn sender(end: OwnedFd) -> io::Result<Sender> {
    Sender::from_owned_fd_unchecked(nonblocking(end)?)
}

fn receiver(end: OwnedFd) -> io::Result<Receiver> {
    Receiver::from_owned_fd_unchecked(nonblocking(end)?)
}

fn nonblocking(end: OwnedFd) -> io::Result<OwnedFd> {
    fcntl_setfl(&end, fcntl_getfl(end.as_fd())? | OFlags::NONBLOCK)?;
    Ok(end)
}

/// Carries everything between a program and its client until both streams of output have ended and so has the program; then says
/// how. If the client goes first, the program is hung up.
pub(super) async fn carry(
    mut child: Child,
    streams: Streams,
    input: Outlet,
    (output, handle): (Output, Handle),
    mut closed: Closed,
    mut stopping: Stopping,
) {
    let pid = child.pid;
    let feeding = tokio::spawn(feed(input, streams.input));
    let ended = {
        let sent = async {
            tokio::join!(drain(streams.output, &output, Stream::Out), async {
                if let Some(error) = streams.error {
                    drain(error, &output, Stream::Error).await;
                }
            });
            (&mut child.exit).await
        };
        let stopped = async {
            stopping.wait().await;
            let said = output.send(Stream::Error, Bytes::from_static(STOPPED));
            let _ = timeout(SAID_WITHIN, said).await; // who does not read is not waited for
            hang_up(pid);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            exit = sent => exit.ok(),
            () = closed.wait() => None,
            () = stopped => None,
        }
    };
    feeding.abort();
    match ended {
        Some(exit) => drop(output.exited(exit, &handle).await), // who is gone need not be told
        None if child.exit.try_recv().is_err() => hang_up(pid),
        None => {}
    }
}

const STOPPED: &[u8] = b"the workspace is being stopped\r\n";
const SAID_WITHIN: Duration = Duration::from_millis(100);

/// Writes what the client sends to the program, until either has enough.
async fn feed(mut input: Outlet, mut program: Sender) {
    while let Some(bytes) = input.next().await {
        if program.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Sends all that comes from `from`. A terminal that nobody has open any more ends with an error.
async fn drain(from: Receiver, output: &Output, stream: Stream) {
    // Memory is taken when there is something to read, so that who says nothing costs nothing.
    while from.readable().await.is_ok() {
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        match from.try_read_buf(&mut chunk) {
            Ok(0) => return,
            Ok(_) if output.send(stream, chunk.freeze()).await.is_err() => return,
            Ok(_) => {}
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// As much as fits into one packet.
pub(super) const CHUNK_BYTES: usize = 32 * 1024;

/// Tells a program, and all that is in its group, that its client is gone.
fn hang_up(pid: u32) {
    send(pid, Signal::HUP);
    send(pid, Signal::CONT); // what is stopped could not hear it
}

/// Sends `signal` to the group of the process `pid`, which leads it.
pub(super) fn send(pid: u32, signal: Signal) {
    if let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, signal); // it may have ended
    }
}
