//! Where HTTP comes in.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::exit::Failure;

/// Takes the address, or says how to get one.
pub(super) fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    support::listen::listen(address).map_err(|why| {
        Failure::failed(format!("cannot listen on {address}"))
            .because(&why)
            .fix("stop the program that holds it, or choose another address with --listen; port 0 takes a free one")
    })
}
