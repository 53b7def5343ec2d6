use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::body::Body;
use axum::http::{Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use crate::serve::refuse;

/// Answers `CONNECT 127.0.0.1:PORT` with a connection to that port of this network's loopback.
///
/// Only where the workspace has a network of its own: there, whoever listens belongs to it. On the machine's network this would
/// be a way to everybody's servers. Only the platform asks: the proxy in front refuses the method from outside.
pub(crate) async fn open(request: Request<Incoming>) -> Response {
    let Some(port) = loopback_port(request.uri()) else {
        return refuse(
            StatusCode::FORBIDDEN,
            "only loopback of the workspace can be connected to",
            "use CONNECT 127.0.0.1:PORT",
        );
    };
    match dial(port).await {
        Ok(server) => {
            tokio::spawn(carry(request, server));
            Body::empty().into_response()
        }
        Err(why) if why.kind() == io::ErrorKind::ConnectionRefused => refuse(
            StatusCode::NOT_FOUND,
            &format!("nobody listens on port {port}"),
            "start a server there",
        ),
        Err(why) => refuse(
            StatusCode::BAD_GATEWAY,
            &format!("port {port} cannot be reached: {why}"),
            "see what the server prints",
        ),
    }
}

fn loopback_port(uri: &Uri) -> Option<u16> {
    let authority = uri.authority()?;
    let address: IpAddr = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()?;
    authority
        .port_u16()
        .filter(|port| *port != 0 && address.is_loopback())
}

/// A server may listen for either version of IP.
async fn dial(port: u16) -> io::Result<TcpStream> {
    match TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
        Err(why) if why.kind() == io::ErrorKind::ConnectionRefused => {
            let other = TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await;
            other.map_err(|_| why) // where there is no IPv6, that says nothing
        }
        result => result,
    }
}

async fn carry(request: Request<Incoming>, mut server: TcpStream) {
    let _ = server.set_nodelay(true);
    let carried = match hyper::upgrade::on(request).await {
        Ok(client) => copy_bidirectional(&mut TokioIo::new(client), &mut server).await,
        Err(why) => Err(io::Error::other(why)),
    };
    if let Err(why) = carried {
        tracing::debug!(%why, "a connection to a port ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ports_of_loopback_are_connected_to() {
        for (target, expected) in [
            ("127.0.0.1:3000", Some(3000)),
            ("[::1]:3000", Some(3000)),
            ("127.0.0.1:0", None),
            ("127.0.0.1", None),
            ("localhost:3000", None),
            ("10.0.0.1:3000", None),
            ("0.0.0.0:3000", None),
            ("example.com:80", None),
            ("http://127.0.0.1:3000/", Some(3000)),
            ("/x", None),
        ] {
            let found = loopback_port(&target.parse().unwrap());
            assert_eq!(found, expected, "{target}");
        }
    }
}
