use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use russh::server::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::flow::Flow;
use super::inbound::{Inlet, Outlet, inbound};
use super::output::Output;
use super::program::CHUNK_BYTES;

/// A connection in the workspace's network.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Carries bytes between a channel and a connection, each direction until its own end, until both have ended or the client closes
/// the channel.
pub(super) async fn carry(channel: Channel<Msg>, socket: Socket, flow: &Arc<Flow>) {
    let (from_client, to_client) = channel.split();
    let output = Output::new(to_client);
    let (input, outlet) = inbound(flow);
    let carried = async {
        match socket {
            Socket::Tcp(stream) => {
                let _ = stream.set_nodelay(true); // the client's own packets are small enough
                let (reading, writing) = stream.into_split();
                both(reading, writing, outlet, &output).await;
            }
            Socket::Unix(stream) => {
                let (reading, writing) = stream.into_split();
                both(reading, writing, outlet, &output).await;
            }
        }
        let _ = output.close().await; // who is gone need not be told
    };
    tokio::select! {
        () = carried => {}
        () = receive(from_client, input) => {}
    }
}

/// Takes what the client sends until it closes the channel; nobody is to wait for this.
async fn receive(mut from: ChannelReadHalf, input: Inlet) {
    let mut input = Some(input);
    while let Some(message) = from.wait().await {
        match message {
            ChannelMsg::Data { data } => input.iter().for_each(|input| input.push(data.clone())),
            ChannelMsg::Eof => input = None,
            ChannelMsg::Close => return,
            _ => {}
        }
    }
}

async fn both(
    reading: impl AsyncRead + Unpin,
    writing: impl AsyncWrite + Unpin,
    input: Outlet,
    output: &Output,
) {
    tokio::join!(read(reading, output), write(writing, input));
}

async fn read(mut from: impl AsyncRead + Unpin, output: &Output) {
    let mut first = [0; FIRST_BYTES];
    // A little at first, so that who says nothing costs nothing.
    while let Ok(length @ 1..) = from.read(&mut first).await {
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        chunk.extend_from_slice(first.get(..length).unwrap_or_default());
        if length == FIRST_BYTES && more(&mut from, &mut chunk).await.is_err() {
            break;
        }
        if output.send(super::output::Stream::Out, chunk.freeze()).await.is_err() {
            return;
        }
    }
    let _ = output.eof().await;
}

const FIRST_BYTES: usize = 512;

/// What else is there already.
async fn more(from: &mut (impl AsyncRead + Unpin), chunk: &mut BytesMut) -> io::Result<()> {
    tokio::select! {
        biased;
        read = from.read_buf(chunk) => read.map(drop),
        () = std::future::ready(()) => Ok(()),
    }
}

async fn write(mut to: impl AsyncWrite + Unpin, mut input: Outlet) {
    while let Some(bytes) = input.next().await {
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}
