use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::FusedFuture;
use russh::server::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf};
use tokio::time::timeout;

use super::flow::Flow;
use super::inbound::{Inlet, Outlet, inbound};
use super::output::{Output, Stream};
use super::program::CHUNK_BYTES;
use super::socket::Socket;

/// Carries bytes between a channel and a connection, each direction until its own end, until both have ended or the client closes
/// the channel.
pub(super) async fn carry(channel: Channel<Msg>, socket: Socket, flow: &Arc<Flow>) {
    let (input, outlet) = inbound(channel.id(), flow);
    let (from_client, to_client) = channel.split();
    let output = Output::new(to_client, flow);
    let mut writing = pin!(write(&socket, outlet).fuse());
    let carried = async {
        tokio::join!(read(&socket, &output), &mut writing);
        let _ = output.close().await; // who is gone need not be told
    };
    tokio::select! {
        () = carried => {}
        () = receive(from_client, input) => {}
    }
    if !writing.is_terminated() {
        // The client has said all, and left before all was written.
        let _ = timeout(WRITTEN_WITHIN, writing).await;
    }
}

const WRITTEN_WITHIN: Duration = Duration::from_secs(10);

/// Takes what the client sends until it closes the channel; nobody is to wait for this.
async fn receive(mut from: ChannelReadHalf, input: Inlet) {
    let mut input = Some(input);
    while let Some(message) = from.wait().await {
        match (message, &input) {
            (ChannelMsg::Data { data }, Some(input)) => input.push(data),
            (ChannelMsg::Eof, _) => input = None,
            (ChannelMsg::Close, _) => return,
            _ => {}
        }
    }
}

async fn read(socket: &Socket, output: &Output) {
    while let Ok(chunk) = socket.read(CHUNK_BYTES).await {
        if chunk.is_empty() || output.send(Stream::Out, chunk.freeze()).await.is_err() {
            break;
        }
    }
    let _ = output.eof().await;
}

async fn write(socket: &Socket, mut input: Outlet) {
    while let Some(bytes) = input.next().await {
        if socket.write(&bytes).await.is_err() {
            return;
        }
    }
    socket.end();
}
