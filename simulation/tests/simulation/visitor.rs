//! Who uses workspaces, and looks hard at what comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};
use turmoil::net::TcpStream;

use crate::admin::{WORKSPACES, Wishes};
use crate::fate::CALM;
use crate::hosts::{DOMAIN, Disks};
use crate::wire::{POD_PORT, PROXY_PORT, read_line};

pub(crate) const VISITORS: usize = 3;

/// What one request of a visitor came to, if it was not answered by a workspace.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// Cannot be helped while things break.
    #[error("no answer")]
    Unanswered,
    /// Never allowed.
    #[error("{0}")]
    Wrong(String),
}

impl Trouble {
    fn lost(_: impl std::error::Error) -> Self {
        Self::Unanswered
    }
}

/// Asks for this and that until things are calm.
pub(crate) async fn visit(
    number: usize,
    seed: u64,
    disks: Disks,
    wishes: Wishes,
    answers: Arc<AtomicUsize>,
) -> turmoil::Result {
    let name = format!("visitor-{number}");
    // What is lost between a visitor and the proxy, no proxy can make good.
    let losses = || disks.platform.losses(&name) + disks.platform.losses("proxy");
    let mut random = SmallRng::seed_from_u64(seed.wrapping_mul(77).wrapping_add(number as u64));
    let mut kept = None;
    while turmoil::sim_elapsed().unwrap_or_default() < CALM {
        sleep(Duration::from_millis(random.random_range(1..500))).await;
        let workspace = *WORKSPACES.choose(&mut random).unwrap();
        let token = match random.random_bool(0.3) {
            true => wishes.old_token_of(workspace, &mut random),
            false => wishes.token_of(workspace),
        };
        let Some(token) = token else {
            continue;
        };
        let way = random.random_range(0..10);
        let asked = async {
            match way {
                0 => use_tunnel(workspace, &token).await,
                1 => leave_early(workspace, &token).await,
                _ => ask(&mut kept, workspace, &token, &mut random).await,
            }
        };
        let lost = losses();
        // Longer than all limits of the proxy together.
        match timeout(Duration::from_secs(150), asked).await {
            Err(_) if losses() != lost => kept = None,
            Err(_) => return Err(format!("a request to {workspace} never ended ({way})").into()),
            Ok(Err(Trouble::Wrong(what))) => return Err(what.into()),
            Ok(Err(Trouble::Unanswered)) => kept = None,
            Ok(Ok(())) => drop(answers.fetch_add(1, Ordering::Relaxed)),
        }
    }
    Ok(())
}

type Kept = Option<SendRequest<Full<Bytes>>>;

/// One request, over the connection of the last one if there is one.
async fn ask(
    kept: &mut Kept,
    workspace: &str,
    token: &str,
    random: &mut SmallRng,
) -> Result<(), Trouble> {
    let mut sender = match kept.take().filter(|_| random.random_bool(0.7)) {
        Some(sender) => sender,
        None => connect().await?,
    };
    let sent = match random.random_bool(0.5) {
        true => "x".repeat(random.random_range(0..3000)),
        false => String::new(),
    };
    let method = if sent.is_empty() {
        Method::GET
    } else {
        Method::POST
    };
    let slow = match random.random_range(0..10) {
        0 => random.random_range(0..40_000),
        _ => 0,
    };
    let request = Request::builder()
        .method(method)
        .uri("/")
        .header("host", host(workspace))
        .header("x-gitpod-owner-token", token)
        .header("x-slow", slow)
        .body(Full::<Bytes>::from(sent.clone()))
        .map_err(|why| Trouble::Wrong(why.to_string()))?;
    let response = sender.send_request(request).await.map_err(Trouble::lost)?;
    let status = response.status();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(Trouble::lost)?;
    let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    *kept = Some(sender);
    judge(workspace, status, &text, &sent)
}

/// Whether `text` may be the answer of `workspace` to `sent`.
fn judge(workspace: &str, status: StatusCode, text: &str, sent: &str) -> Result<(), Trouble> {
    match status.as_u16() {
        200 => {}
        401 | 403 | 404 | 408 | 502 | 503 => return Err(Trouble::Unanswered),
        other => {
            return Err(Trouble::Wrong(format!(
                "{workspace} answered {other}: {text}"
            )));
        }
    }
    let number = WORKSPACES.iter().position(|name| *name == workspace);
    let is_own = || {
        let (who, rest) = text.split_once(' ')?;
        let (run, echoed) = rest.split_once(' ')?;
        let own = format!("w{}-run-", number?);
        (who == workspace && run.starts_with(&own)).then_some(echoed)
    };
    match is_own() {
        Some(echoed) if echoed == sent => Ok(()),
        Some(echoed) => Err(Trouble::Wrong(format!(
            "{workspace} was sent {} bytes and got {}",
            sent.len(),
            echoed.len()
        ))),
        None => Err(Trouble::Wrong(format!(
            "another workspace answered for {workspace}: {text}"
        ))),
    }
}

/// A connection of another protocol: each line must come from the workspace it was opened to.
async fn use_tunnel(workspace: &str, token: &str) -> Result<(), Trouble> {
    let mut stream = dial().await?;
    let head = format!(
        "GET / HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\nupgrade: echo\r\nx-gitpod-owner-token: {token}\r\n\r\n",
        host(workspace)
    );
    stream
        .write_all(head.as_bytes())
        .await
        .map_err(Trouble::lost)?;
    let status = read_line(&mut stream).await.map_err(Trouble::lost)?;
    if !status.starts_with("HTTP/1.1 101") {
        return Err(Trouble::Unanswered);
    }
    while read_line(&mut stream).await.map_err(Trouble::lost)? != "\r" {}
    for number in 0..10 {
        let line = format!("line-{number}");
        stream
            .write_all(line.as_bytes())
            .await
            .map_err(Trouble::lost)?;
        // Nobody ends a tunnel whose other side is out of reach: its user does.
        let answer = timeout(Duration::from_secs(30), read_line(&mut stream)).await;
        let answer = answer.map_err(Trouble::lost)?.map_err(Trouble::lost)?;
        judge(workspace, StatusCode::OK, &answer, &line)?;
        sleep(Duration::from_millis(300)).await;
    }
    Ok(())
}

/// Half a request, and away.
async fn leave_early(workspace: &str, token: &str) -> Result<(), Trouble> {
    let mut stream = dial().await?;
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {}\r\ncontent-length: 1000\r\nx-gitpod-owner-token: {token}\r\n\r\nhalf",
        host(workspace)
    );
    stream
        .write_all(head.as_bytes())
        .await
        .map_err(Trouble::lost)?;
    Err(Trouble::Unanswered)
}

fn host(workspace: &str) -> String {
    format!("{POD_PORT}-{workspace}.{DOMAIN}")
}

async fn dial() -> Result<TcpStream, Trouble> {
    let stream = TcpStream::connect(("proxy", PROXY_PORT));
    let stream = timeout(Duration::from_secs(10), stream).await;
    stream.map_err(Trouble::lost)?.map_err(Trouble::lost)
}

async fn connect() -> Result<SendRequest<Full<Bytes>>, Trouble> {
    let stream = dial().await?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(Trouble::lost)?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Whether `workspace` answers by itself, once.
pub(crate) async fn is_answered(workspace: &str, token: &str) -> Result<(), Trouble> {
    let mut random = SmallRng::seed_from_u64(1);
    ask(&mut None, workspace, token, &mut random).await
}
