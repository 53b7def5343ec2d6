//! `gitpod ssh --stdio`: this process as the wire between a client and the gateway.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use super::ssh::takes_nobody;
use crate::exit::Failure;
use crate::ssh::Endpoint;

/// Carries standard input to the gateway and its answers to standard output, until it
/// has nothing more to say.
pub(super) async fn carry(endpoint: Endpoint) -> Result<(), Failure> {
    let address = endpoint.address();
    let gateway = TcpStream::connect(address).map_err(|why| takes_nobody(endpoint, &why))?;
    let carried = tokio::task::spawn_blocking(move || between(gateway));
    let carried = carried.await.map_err(io::Error::from).and_then(|done| done);
    carried.map_err(|why| {
        Failure::failed(format!("connection to the gateway at {address} failed")).because(&why)
    })
}

fn between(mut gateway: TcpStream) -> io::Result<()> {
    gateway.set_nodelay(true)?;
    let mut sender = gateway.try_clone()?;
    let mut stdin = unbuffered(io::stdin().as_fd())?;
    // Not waited for: a client that says nothing more must not keep this process.
    std::thread::spawn(move || {
        let _ = carry_all(&mut stdin, &mut sender);
        let _ = sender.shutdown(Shutdown::Write);
    });
    let mut stdout = unbuffered(io::stdout().as_fd())?;
    match carry_all(&mut gateway, &mut stdout) {
        // The client went away first, or the gateway has closed what it will not read.
        Err(why) if is_end(&why) => Ok(()),
        done => done,
    }
}

/// Passes bytes on as they come. `io::copy` would let the system do it, which keeps
/// small packets back for more to come.
fn carry_all(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
            Err(why) => return Err(why),
        };
        to.write_all(buffer.get(..read).unwrap_or_default())?;
    }
}

/// Two of the largest packets.
const BUFFER: usize = 64 * 1024;

fn is_end(why: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset};
    matches!(why.kind(), BrokenPipe | ConnectionReset)
}

/// A standard stream without the buffer of `std`.
fn unbuffered(stream: BorrowedFd<'_>) -> io::Result<File> {
    Ok(stream.try_clone_to_owned()?.into())
}
