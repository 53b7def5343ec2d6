//! Connections that have become another protocol.

use std::future::pending;

use http::header::UPGRADE;
use http::{HeaderMap, HeaderValue};
use hyper::upgrade::OnUpgrade;

use crate::forward::frames::Frames;
use crate::forward::side::Side;
pub(crate) use crate::forward::tunnel::Meter;
use crate::forward::tunnel::Tunnel;
use crate::stay::Stay;

/// Whether the server agreed to the very protocol that was asked for.
pub(crate) fn is_agreed(asked: &HeaderValue, answer: &HeaderMap) -> bool {
    let mut values = answer.get_all(UPGRADE).iter();
    match (values.next(), values.next()) {
        (Some(agreed), None) => agreed.as_bytes().eq_ignore_ascii_case(asked.as_bytes()),
        _ => false,
    }
}

/// Copies both ways until either side ends, then ends both; as it does once `stay` is over.
///
/// Both upgrades complete only after the `101` has been written.
pub(crate) async fn tunnel(
    client: OnUpgrade,
    server: OnUpgrade,
    meter: Meter,
    stay: Option<&mut Stay>,
) {
    let (client, server) = match (client.await, server.await) {
        (Ok(client), Ok(server)) => (Side::of_client(client), Side::of_server(server)),
        (Err(why), _) | (_, Err(why)) => {
            tracing::debug!(error = %why, "tunnel did not open");
            return;
        }
    };
    // By itself, so that the task is not as large as both this and what came before it.
    let mut tunnel = Box::new(Tunnel::new(client, server, meter));
    let end = tokio::select! {
        end = &mut tunnel => end,
        () = over(stay) => Box::pin(tunnel.close()).await,
    };
    if let Err(why) = end {
        tracing::trace!(error = %why, "tunnel broke");
    }
}

/// Copies both ways between two connections that have changed to `protocol`, for who passes requests on by itself.
///
/// Ends with either of them, and once `stay` is over: the client of a WebSocket is told so then, with 1012.
pub async fn relay(
    client: OnUpgrade,
    server: OnUpgrade,
    protocol: Option<HeaderValue>,
    mut stay: Option<Stay>,
) {
    let is_websocket = protocol.is_some_and(|protocol| {
        let protocol = protocol.as_bytes();
        protocol.eq_ignore_ascii_case(b"websocket")
    });
    let meter = Meter::new(None, is_websocket.then(Frames::default));
    tunnel(client, server, meter, stay.as_mut()).await;
}

async fn over(stay: Option<&mut Stay>) {
    match stay {
        Some(stay) => Box::pin(stay.over()).await, // small where there is none
        None => pending().await,
    }
}
