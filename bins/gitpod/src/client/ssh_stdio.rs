//! `gitpod ssh --stdio`: this process as the wire between a client and the gateway.

use std::io;
use std::net::{Shutdown, TcpStream};

use crate::exit::Failure;
use crate::ssh::Endpoint;

/// Carries standard input to the gateway and its answers to standard output, until it
/// has nothing more to say.
pub(super) async fn carry(endpoint: Endpoint) -> Result<(), Failure> {
    let address = endpoint.address();
    let carried = tokio::task::spawn_blocking(move || between(TcpStream::connect(address)?));
    let carried = carried.await.map_err(io::Error::from).and_then(|done| done);
    carried.map_err(|why| {
        Failure::failed(format!("connection to the gateway at {address} failed")).because(&why)
    })
}

fn between(mut gateway: TcpStream) -> io::Result<()> {
    gateway.set_nodelay(true)?;
    let mut sender = gateway.try_clone()?;
    // Not waited for: a client that says nothing more must not keep this process.
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut sender);
        let _ = sender.shutdown(Shutdown::Write);
    });
    match io::copy(&mut gateway, &mut unbuffered_stdout()?) {
        // The client went away first, or the gateway has closed what it will not read.
        Err(why)
            if matches!(
                why.kind(),
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
            ) =>
        {
            Ok(())
        }
        done => done.map(drop),
    }
}

/// Standard output without the line buffer of `std`, which would hold back packets.
fn unbuffered_stdout() -> io::Result<std::fs::File> {
    use std::os::fd::AsFd;
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}
