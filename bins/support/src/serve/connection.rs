//! One connection: which HTTP it speaks, and its end.

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use gitpod_routing::{CheckedStream, ConnectionTimer, Peer};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::accept::{Stream, Visitor};
use super::drain::{Phase, Visitors};
use super::handed::Streams;
use super::places::Place;
use super::request::Visit;
use super::{Failure, Respond, Server};
use crate::limits::{Limit, Limits, refused};

/// How often to look whether enough has come to tell the version of HTTP.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// What a client that speaks HTTP/2 sends first: RFC 9113, section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Of an answer over HTTP/2, waiting to be sent. Chosen by us: a client may have as many as it has streams.
const SEND_BUFFER: usize = 64 * 1024;

/// Which HTTP a connection speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Http {
    One,
    Two,
}

/// Serves one connection until either side has had enough.
pub(super) async fn serve_one(
    visitor: Visitor,
    server: &Server,
    service: impl Respond,
    visitors: &Visitors,
) -> Result<(), Failure> {
    let Visitor { stream, place } = visitor;
    let visit = |peer| Visit::new(service, server, &place, visitors, peer);
    match (stream, &server.tls) {
        (Stream::Unix(stream), _) => {
            let http = server.in_time(&place, first_words(&stream)).await?;
            serve_http(stream, http, server, visit(None), visitors).await
        }
        (Stream::Tcp(stream, peer), None) => {
            let http = server.in_time(&place, first_words(&stream)).await?;
            serve_http(stream, http, server, visit(Some(Peer(peer))), visitors).await
        }
        (Stream::Tcp(stream, peer), Some(tls)) => {
            let stream = server.in_time(&place, tls.accept(stream)).await?;
            let tls = stream.get_ref().1;
            let http = match tls.alpn_protocol() {
                Some(b"h2") => Http::Two,
                _ => Http::One,
            };
            let visit = visit(Some(Peer(peer))).asked_for(tls.server_name());
            serve_http(stream, http, server, visit, visitors).await
        }
    }
}

impl Server {
    /// What comes before HTTP, within the time for heads, as long as nobody else needs the place.
    async fn in_time<T>(
        &self,
        place: &Place,
        words: impl Future<Output = io::Result<T>>,
    ) -> Result<T, Failure> {
        let longest = self.guard.limits.time(Limit::HeadTime);
        tokio::select! {
            said = timeout(longest, words) => match said {
                Ok(said) => Ok(said?),
                Err(why) => {
                    refused(Limit::HeadTime);
                    Err(why.into())
                }
            },
            () = place.lost() => Err("somebody else needs the place".into()),
        }
    }
}

/// A socket whose bytes can be looked at without taking them.
trait Peek {
    fn peek(&self, words: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send;
}

impl Peek for TcpStream {
    async fn peek(&self, words: &mut [u8]) -> io::Result<usize> {
        Self::peek(self, words).await
    }
}

impl Peek for UnixStream {
    async fn peek(&self, words: &mut [u8]) -> io::Result<usize> {
        let look = || Ok(recv(self, &mut *words, RecvFlags::PEEK)?.1);
        self.async_io(Interest::READABLE, look).await
    }
}

/// Waits until a connection has said enough to tell which version of HTTP it
/// speaks. From there on the server has deadlines of its own.
async fn first_words(stream: &impl Peek) -> io::Result<Http> {
    let mut words = [0; PREFACE.len()];
    loop {
        let length = stream.peek(&mut words).await?;
        let said = words.get(..length).unwrap_or_default();
        if said == PREFACE {
            return Ok(Http::Two);
        }
        if said.is_empty() || !PREFACE.starts_with(said) {
            return Ok(Http::One);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    http: Http,
    server: &Server,
    visit: Visit<impl Respond>,
    visitors: &Visitors,
) -> Result<(), Failure> {
    let limits = &server.guard.limits;
    // Requests of unclear length are refused, before hyper reads one of them.
    let stream = CheckedStream::new(stream).with_write_patience(limits.time(Limit::SendIdle));
    let stream = TokioIo::new(stream);
    let place = visit.place().clone();
    let phase = visitors.phase();
    match http {
        Http::One => {
            let connection = one(limits).serve_connection(stream, visit).with_upgrades();
            until_over(connection, place, phase).await
        }
        Http::Two => {
            let streams = Streams::new(limits.time(Limit::SendIdle));
            let visit = visit.over_two(&streams);
            let connection = two(limits, streams).serve_connection(stream, visit);
            until_over(connection, place, phase).await
        }
    }
}

/// The connection itself, not what a server wraps around it to find out which HTTP it is: an upgraded one is known as
/// the socket that it is, and spliced.
fn one(limits: &Limits) -> http1::Builder {
    let mut server = http1::Builder::new();
    server
        .timer(ConnectionTimer::new())
        .header_read_timeout(limits.time(Limit::HeadTime))
        .max_buf_size(limits.count(Limit::HeadBytes));
    // What hyper has by itself, it has without asking for memory with each request.
    if limits.count(Limit::HeadFields) != HYPERS_FIELDS {
        server.max_headers(limits.count(Limit::HeadFields));
    }
    server
}

const HYPERS_FIELDS: usize = 100;

fn two(limits: &Limits, streams: Streams) -> http2::Builder<Streams> {
    let count = |limit| u32::try_from(limits.count(limit)).unwrap_or(u32::MAX);
    let mut server = http2::Builder::new(streams);
    server
        .timer(TokioTimer::new())
        .max_header_list_size(count(Limit::HeadBytes))
        .max_concurrent_streams(count(Limit::Streams))
        .max_pending_accept_reset_streams(limits.count(Limit::StreamResets))
        .max_local_error_reset_streams(limits.count(Limit::StreamErrors))
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(limits.time(Limit::HeadTime));
    server
}

/// A connection of hyper, of either version.
trait Finish: Future<Output = hyper::Result<()>> {
    /// Takes no more requests, and says so. Those that are there are finished.
    fn finish(self: Pin<&mut Self>);
    /// The same, if clients lose nothing by it.
    fn part(self: Pin<&mut Self>);
}

impl<I, S, B> Finish for http1::UpgradeableConnection<I, S>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Failure>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    B: Body + 'static,
    B::Error: Into<Failure>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }

    /// A connection that is closed may be one on which a request has just been sent. It goes with the next answer.
    fn part(self: Pin<&mut Self>) {}
}

impl<I, S, B> Finish for http2::Connection<I, S, Streams>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Failure>,
    S::Future: Send + 'static,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Failure>,
    Streams: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }

    fn part(self: Pin<&mut Self>) {
        self.graceful_shutdown(); // of which clients hear what was taken and what was not
    }
}

async fn until_over<C: Finish>(
    connection: C,
    place: Place,
    mut phase: watch::Receiver<Phase>,
) -> Result<(), Failure> {
    let mut connection = pin!(connection);
    phase.mark_changed();
    loop {
        tokio::select! {
            biased; // an answer says first what may end it
            ended = connection.as_mut() => {
                return Ok(ended.inspect_err(|why| count(why, &place))?);
            }
            () = poll_fn(|cx| place.ending().poll(cx)) => return Err("no longer allowed".into()),
            () = place.lost() => return Err("somebody else needs the place".into()),
            next = phase.changed() => match (next, *phase.borrow_and_update()) {
                (Ok(()), Phase::Open) => {}
                (Ok(()), Phase::Parting) => connection.as_mut().part(),
                (Ok(()), Phase::Ending) => connection.as_mut().finish(),
                (Ok(()), Phase::Over) | (Err(_), _) => return Ok(()),
            },
        }
    }
}

/// Counts the limit that has ended a connection, if it was one.
fn count(why: &hyper::Error, place: &Place) {
    let limit = match why {
        _ if why.is_parse_too_large() => Some(Limit::HeadBytes),
        // A connection that was of use, and then silent, has done nothing wrong.
        _ if why.is_timeout() && !place.has_asked() => Some(Limit::HeadTime),
        _ => why.source().and_then(limit_of_two),
    };
    if let Some(limit) = limit {
        refused(limit);
    }
}

/// The limit that HTTP/2 has met. It tells of ENHANCE_YOUR_CALM in words only, and not which it was: of resets, of
/// mistakes, of CONTINUATION frames. What a client says itself (`received`) is no limit of ours.
fn limit_of_two(why: &dyn Error) -> Option<Limit> {
    let why = why.to_string();
    let is_too_much = why.contains("excessive load") && !why.contains("received");
    is_too_much.then_some(Limit::StreamResets)
}
