//! Servers of a workspace, in this process.

use std::convert::Infallible;
use std::fmt;
use std::io::Cursor;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use gitpod_routing::{ConnectError, Connection, Connector, DialTarget, Protocol, WorkspaceService};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, DuplexStream};

use super::{pairs, text};

/// Connects to servers that answer as a case says, and writes down what they are asked.
#[derive(Clone)]
pub(super) struct Upstreams {
    answers: Value,
    seen: Arc<Mutex<Vec<Value>>>,
}

impl fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstreams").finish_non_exhaustive()
    }
}

impl Upstreams {
    pub(super) fn new(answers: Value) -> Self {
        let seen = Arc::default();
        Self { answers, seen }
    }

    /// The requests so far.
    pub(super) fn seen(&self) -> Vec<Value> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note(&self, request: Value) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push(request);
    }

    async fn answer(&self, target: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let answer = self.answers.get(target).cloned().unwrap_or_default();
        let upgrades = answer.get("upgrade").and_then(Value::as_bool) == Some(true);
        if upgrades && request.headers().contains_key("upgrade") {
            self.note(described(target, &request, &Bytes::new()));
            return switch(request);
        }
        let (parts, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map(|body| body.to_bytes())
            .unwrap_or_default();
        self.note(described(target, &Request::from_parts(parts, ()), &body));
        plain(target, &answer)
    }
}

fn plain(target: &str, answer: &Value) -> Response<Full<Bytes>> {
    let body = answer.get("body").and_then(Value::as_str);
    let body = body.map_or_else(|| format!("{target} body"), str::to_owned);
    let mut response = Response::new(Full::new(Bytes::from(body)));
    if let Some(status) = answer.get("status").and_then(Value::as_u64) {
        let status = u16::try_from(status).unwrap_or_default();
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    }
    let headers = response.headers_mut();
    headers.insert(
        "content-type",
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    let mut own = HeaderMap::new();
    for (name, value) in pairs(answer, "headers") {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            own.append(name, value);
        }
    }
    headers.extend(own);
    response
}

/// Agrees, and echoes from then on.
fn switch(mut request: Request<Incoming>) -> Response<Full<Bytes>> {
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgraded.await {
            let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
            let _end = tokio::io::copy(&mut reader, &mut writer).await;
        }
    });
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert("connection", HeaderValue::from_static("Upgrade"));
    headers.insert("upgrade", HeaderValue::from_static("websocket"));
    response
}

/// A request in the form of the cases.
fn described<B>(target: &str, request: &Request<B>, body: &Bytes) -> Value {
    let mut seen = json!({
        "target": target,
        "method": request.method().as_str(),
        "uri": request.uri().to_string(),
        "headers": headers(request.headers(), &["host", "content-length", "transfer-encoding"]),
    });
    if let Some(host) = request
        .headers()
        .get("host")
        .and_then(|host| host.to_str().ok())
    {
        seen["host"] = host.into();
    }
    if let Some(Names(names)) = request.extensions().get() {
        seen["exact_header_names"] = names.as_slice().into();
    }
    if !body.is_empty() {
        seen["body"] = String::from_utf8_lossy(body).into();
    }
    seen
}

/// Fields by name, without those in `except`; several of one name as a list.
pub(super) fn headers(headers: &HeaderMap, except: &[&str]) -> Value {
    let mut fields = Map::new();
    for name in headers
        .keys()
        .filter(|name| !except.contains(&name.as_str()))
    {
        let mut values: Vec<Value> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into())
            .collect();
        let value = match values.len() {
            1 => values.pop().unwrap_or_default(),
            _ => Value::Array(values),
        };
        fields.insert(name.as_str().to_owned(), value);
    }
    Value::Object(fields)
}

#[async_trait]
impl Connector for Upstreams {
    async fn connect(&self, target: &DialTarget) -> Result<Connection, ConnectError> {
        if target.info.address.is_none() {
            return Err(ConnectError::Refused("workspace has no address"));
        }
        let name = name_of(target);
        let down = self
            .answers
            .get(&name)
            .and_then(|answer| answer.get("down"));
        if !LISTENING.contains(&name.as_str())
            || down.is_some()
            || target.protocol() != Protocol::Http
        {
            return Err(ConnectError::NotListening);
        }
        let (near, far) = tokio::io::duplex(64 * 1024);
        let upstreams = self.clone();
        tokio::spawn(serve(upstreams, name, far));
        Ok(Box::new(near))
    }
}

/// Serves `stream`. The head of its first request is read before, for the spelling of names.
async fn serve(upstreams: Upstreams, name: String, mut stream: DuplexStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let names = websocket_names(&String::from_utf8_lossy(&head));
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (upstreams, name) = (upstreams.clone(), name.clone());
        request.extensions_mut().insert(Names(names.clone()));
        async move { Ok::<_, Infallible>(upstreams.answer(&name, request).await) }
    });
    let (reader, writer) = tokio::io::split(stream);
    let whole = tokio::io::join(Cursor::new(head).chain(reader), writer);
    let _closed = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(whole), service)
        .with_upgrades()
        .await;
}

/// Names of the fields of a WebSocket request as they stood on the wire, sorted.
#[derive(Clone)]
struct Names(Vec<String>);

fn websocket_names(head: &str) -> Vec<String> {
    let names = head.lines().filter_map(|line| line.split_once(':'));
    let mut names: Vec<String> = names
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.to_ascii_lowercase().starts_with("sec-websocket-"))
        .collect();
    names.sort();
    names
}

fn name_of(target: &DialTarget) -> String {
    match (target.service, target.debug) {
        (WorkspaceService::Port(_), true) => "debug_port_proxy".into(),
        (WorkspaceService::Port(number), false) => format!("port:{number}"),
        (WorkspaceService::Supervisor, debug) => prefixed(debug, "supervisor"),
        (_, debug) => prefixed(debug, "ide"),
    }
}

fn prefixed(debug: bool, name: &str) -> String {
    match debug {
        true => format!("debug_{name}"),
        false => name.to_owned(),
    }
}

/// Whether a case needs what this replay has no server for.
pub(super) fn needs_blobserve(input: &Value, expect: &Value) -> bool {
    let asked = expect.get("upstream_requests").and_then(Value::as_array);
    let asks = asked
        .into_iter()
        .flatten()
        .any(|request| text(request, "target") == "blobserve");
    asks || text(input, "target").contains("/__files__")
}

/// **Source:** fixtures of the cases; `port:28443` speaks TLS.
const LISTENING: [&str; 7] = [
    "ide",
    "supervisor",
    "debug_ide",
    "debug_supervisor",
    "debug_port_proxy",
    "port:28080",
    "port:28081",
];
