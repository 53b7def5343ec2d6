//! Connections as they come.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::{TcpStream, UnixStream};

use super::connection::serve_one;
use super::drain::{Ending, Visitors};
use super::load::Share;
use super::places::Place;
use super::{Respond, Server};
use crate::limits::{Limit, refused};
use crate::listen::Listener;

/// How long to wait when the system has no descriptor left for a new connection.
const PAUSE: Duration = Duration::from_millis(100);

/// One that was just accepted.
pub(super) enum Stream {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

/// A stream, and what it takes up.
pub(super) struct Visitor {
    pub(super) stream: Stream,
    pub(super) place: Place,
}

/// Its source has as many as it may.
struct TooMany;

/// Serves who comes to `listener` until `end`, which says how.
pub(super) async fn accept_all(
    server: &Server,
    listener: &Listener,
    service: &impl Respond,
    visitors: &Visitors,
    end: impl Future<Output = Ending>,
) -> Ending {
    let mut end = std::pin::pin!(end);
    loop {
        let accepted = tokio::select! {
            biased;
            ending = &mut end => return ending,
            accepted = accept(listener) => accepted,
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(why) => {
                tracing::warn!(%why, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(of_source) = server.admit(&stream) else {
            continue; // which closes it
        };
        let place = tokio::select! {
            place = server.guard.places.take(of_source) => place,
            ending = &mut end => return ending,
        };
        let visitor = Visitor { stream, place };
        let (server, service, all) = (server.clone(), service.clone(), visitors.clone());
        visitors.present.spawn(async move {
            if let Err(why) = serve_one(visitor, &server, service, &all).await {
                metrics::counter!("http_connections_ended_early_total").increment(1);
                tracing::debug!(%why, "connection ended early");
            }
        });
    }
}

async fn accept(listener: &Listener) -> io::Result<Stream> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, peer) = listener.accept().await?;
            let _ = stream.set_nodelay(true);
            // A client that has vanished does not keep its connection for ever.
            let _ = notice_silence(&stream);
            Ok(Stream::Tcp(stream, peer))
        }
        Listener::Unix(listener, _) => Ok(Stream::Unix(listener.accept().await?.0)),
    }
}

/// Has the kernel ask a client that is silent whether it is still there, and end its connection
/// about a minute after it has gone without a word.
fn notice_silence(stream: &TcpStream) -> rustix::io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(30))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(10))?;
    sockopt::set_tcp_keepcnt(stream, 3)
}

impl Server {
    /// Its seat among those of its source, if that has one more. Who comes by a unix socket needs none.
    fn admit(&self, stream: &Stream) -> Result<Option<Share>, TooMany> {
        let Stream::Tcp(_, peer) = stream else {
            return Ok(None);
        };
        let seat = self.guard.sources.admit(peer.ip());
        if seat.is_none() {
            refused(match peer.ip().to_canonical().is_loopback() {
                true => Limit::ConnectionsPerLocalSource,
                false => Limit::ConnectionsPerSource,
            });
        }
        let share = seat.map(|seat| self.guard.loads.share(seat));
        share.map(Some).ok_or(TooMany)
    }
}
