//! A client of small JSON services: one request over a connection of its own.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;

use crate::dial::dial;
use crate::listen::Address;
use crate::tls::ClientTls;

/// Asks one server.
#[derive(Clone, Debug)]
pub struct Client {
    address: Address,
    tls: Option<ClientTls>,
}

/// What was answered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// What it says; null if that is no JSON.
    pub value: Value,
}

/// How long a whole exchange may take.
const WITHIN: Duration = Duration::from_secs(20);
/// Most bytes of an answer.
const MOST: usize = 16 << 20;

impl Client {
    /// Asks the server at `address`.
    #[must_use]
    pub fn new(address: Address, tls: Option<ClientTls>) -> Self {
        Self { address, tls }
    }

    /// Sends `value`.
    ///
    /// # Errors
    ///
    /// If the server is out of reach, or does not answer within 20 s.
    pub async fn post(&self, path: &str, value: &Value) -> anyhow::Result<Answer> {
        self.send(Method::POST, path, value.to_string()).await
    }

    /// Asks for what is at `path`.
    ///
    /// # Errors
    ///
    /// As [`post`](Self::post).
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(Method::GET, path, String::new()).await
    }

    async fn send(&self, method: Method, path: &str, body: String) -> anyhow::Result<Answer> {
        let exchange = tokio::time::timeout(WITHIN, self.exchange(method, path, body));
        let place = || format!("{} does not answer", self.address);
        exchange.await.with_context(place)?.with_context(place)
    }

    async fn exchange(&self, method: Method, path: &str, body: String) -> anyhow::Result<Answer> {
        let stream = dial(self.address.clone(), self.tls.clone(), b"http/1.1").await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let host = match &self.tls {
            Some(tls) => tls.server_name(),
            None => "localhost".to_owned(),
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, host)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::<Bytes>::from(body))?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MOST).collect().await;
        let body = match body {
            Ok(body) => body.to_bytes(),
            Err(why) => bail!("the answer cannot be read: {why}"),
        };
        connection.abort();
        let value = serde_json::from_slice(&body).unwrap_or_default();
        Ok(Answer { status, value })
    }
}
