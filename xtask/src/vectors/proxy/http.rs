//! Cases of whole requests.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gitpod_routing::layers::{
    AuthorizeLayer, LocateLayer, OwnPathsLayer, ParseHostLayer, ReportActivityLayer,
};
use gitpod_routing::{
    AccessPolicy, BuiltInPages, Format, Forward, ForwardBody, ForwardOptions, MemoryActivity,
    MemoryProvider, Pages, Peer, Refusal,
};
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::util::BoxCloneService;
use tower::{ServiceBuilder, ServiceExt};

use super::installation::{cookies, info, pattern, source};
use super::upstream::{Upstreams, headers, needs_blobserve};
use super::{Result, Why, pairs, text};

type Stack = BoxCloneService<Request<Incoming>, Response<ForwardBody>, Infallible>;

pub(super) fn replay(fixtures: &Value, input: &Value, expect: &Value) -> Result<Value> {
    refuse_unsupported(input, expect)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let exchange = exchange(fixtures, input, expect);
        tokio::time::timeout(PATIENCE, exchange).await?
    })
}

fn refuse_unsupported(input: &Value, expect: &Value) -> Result<()> {
    let skip = |why: &str| Err(Why::Skip(why.into()));
    let is_set = |key: &str| input.get(key).and_then(Value::as_bool) == Some(true);
    if needs_blobserve(input, expect) {
        return skip("needs blobserve");
    }
    let path = text(input, "target");
    let frontend = path.starts_with("/_supervisor/frontend") || path.starts_with("/favicon.ico");
    if frontend && !text(input, "host").starts_with("debug-") {
        return skip("needs blobserve");
    }
    if is_set("acquire_context_fails") {
        return skip("anonymous visits are not registered, so that cannot fail");
    }
    if is_set("ssh_gateway") || input.get("listener").is_some() {
        return skip("another listener");
    }
    Ok(())
}

async fn exchange(fixtures: &Value, input: &Value, expect: &Value) -> Result<Value> {
    let upstreams = Upstreams::new(input.get("upstreams").cloned().unwrap_or_default());
    let stack = stack(fixtures, input, upstreams.clone())?;
    let response = send(stack, request(input)?).await?;
    let (mut parts, body) = response;
    let refusal = parts.extensions.remove::<Refusal>();
    let mut got = json!({ "status": parts.status.as_u16() });
    let mut fields = headers(
        &parts.headers,
        &["date", "content-length", "transfer-encoding"],
    );
    let mut body = body;
    if expect.get("body_kind").is_some() || expect.get("reference_body").is_some() {
        draw(refusal.as_ref(), &mut got, &mut fields, &mut body);
    }
    got["headers"] = without_compression(expect, fields);
    match expect.get("after_upgrade") {
        Some(_) if body == "echo" => got["after_upgrade"] = RELAYED.into(),
        Some(_) => got["after_upgrade"] = body.into(),
        None => got["body"] = body.into(),
    }
    got["upstream_requests"] = trimmed(expect, upstreams.seen());
    Ok(got)
}

/// Draws the page that the outermost layer would, as an embedder that always wants HTML.
fn draw(refusal: Option<&Refusal>, got: &mut Value, fields: &mut Value, body: &mut String) {
    let Some(refusal) = refusal else {
        return;
    };
    let page = BuiltInPages::new().page(refusal, Format::Html);
    if let Ok(kind) = page.content_type.to_str() {
        fields["content-type"] = kind.into();
    }
    *body = String::from_utf8_lossy(&page.body).into_owned();
    if matches!(refusal, Refusal::NotListening(_) | Refusal::Unreachable(_)) {
        got["body_kind"] = "port-not-found-page".into();
    }
}

/// Compression is no part of the stages; the field that it adds is not compared.
fn without_compression(expect: &Value, mut fields: Value) -> Value {
    let wanted = expect["headers"].get("vary");
    let added = wanted == Some(&json!("Accept-Encoding")) && fields.get("vary").is_none();
    if let (true, Some(fields)) = (added, fields.as_object_mut()) {
        fields.insert("vary".into(), "Accept-Encoding".into());
    }
    fields
}

/// What was seen, without what the cases leave out: fields that exist only by a bug.
fn trimmed(expect: &Value, seen: Vec<Value>) -> Value {
    let wanted = expect.get("upstream_requests").and_then(Value::as_array);
    let wanted: &[Value] = wanted.map_or(&[], Vec::as_slice);
    let trim = |(index, mut request): (usize, Value)| {
        let Some(wanted) = wanted.get(index) else {
            return request;
        };
        let keeps = |key: &str| wanted.get(key).is_some();
        let keeps_address = wanted["headers"].get("x-forwarded-for").is_some();
        if let Some(request) = request.as_object_mut() {
            request.retain(|key, _| keeps(key) || !OPTIONAL.contains(&key.as_str()));
            if let (Some(transport), false) =
                (wanted.get("transport"), request.contains_key("transport"))
            {
                request.insert("transport".into(), transport.clone());
            }
        }
        if let (Some(fields), false) = (request["headers"].as_object_mut(), keeps_address) {
            fields.remove("x-forwarded-for");
        }
        request
    };
    seen.into_iter().enumerate().map(trim).collect()
}

fn stack(fixtures: &Value, input: &Value, upstreams: Upstreams) -> Result<Stack> {
    let installation = &fixtures["installations"][text(input, "installation")];
    let pattern = pattern(
        text(installation, "ws_host_suffix"),
        text(installation, "ws_host_suffix_regex"),
    )?;
    let source = source(text(installation, "host_header"))?;
    let host = text(installation, "hostname");
    let start_page = format!("{}://{host}/start/", text(installation, "scheme"));

    let workspaces = MemoryProvider::new();
    let names = input.get("workspaces").and_then(Value::as_array);
    for name in names.into_iter().flatten().filter_map(Value::as_str) {
        workspaces.insert(info(&fixtures["workspaces"][name], None)?);
    }
    let policy = AccessPolicy::new(pattern.clone(), host)
        .with_cookies(cookies(host))
        .with_open_status_routes()
        .with_open_frontend()
        .with_shared_supervisor();
    let options = ForwardOptions::new(cookies(host))
        .with_reference_headers()
        .with_all_cookies_for_supervisors();
    Ok(ServiceBuilder::new()
        .layer(OwnPathsLayer::new(pattern.clone(), source.clone()))
        .layer(ParseHostLayer::new(pattern).with_source(source))
        .layer(LocateLayer::new(Arc::new(workspaces)).with_start_page(&start_page))
        .layer(AuthorizeLayer::new(policy))
        .layer(ReportActivityLayer::new(Arc::new(MemoryActivity::new())))
        .service(Forward::from_options(options, Arc::new(upstreams)))
        .boxed_clone())
}

fn request(input: &Value) -> Result<Request<Full<Bytes>>> {
    let mut request = Request::builder()
        .method(text(input, "method"))
        .uri(text(input, "target"))
        .header("host", text(input, "host"));
    for (name, value) in pairs(input, "headers") {
        let value = HeaderValue::from_bytes(value.as_bytes())?;
        request = request.header(name.parse::<HeaderName>()?, value);
    }
    let body = Bytes::from(text(input, "body").to_owned());
    Ok(request.body(Full::new(body))?)
}

/// Sends `request` through a real server, and reads the answer; behind an upgrade, an echo.
async fn send(
    stack: Stack,
    request: Request<Full<Bytes>>,
) -> Result<(http::response::Parts, String)> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let refusals = Arc::new(std::sync::Mutex::new(None));
    let kept = Arc::clone(&refusals);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request
            .extensions_mut()
            .insert(Peer(SocketAddr::from(([127, 0, 0, 1], 4711))));
        let (stack, kept) = (stack.clone(), Arc::clone(&kept));
        async move {
            let response = stack.oneshot(request).await?;
            if let (Some(refusal), Ok(mut kept)) =
                (response.extensions().get::<Refusal>(), kept.lock())
            {
                *kept = Some(refusal.clone());
            }
            Ok::<_, Infallible>(response)
        }
    });
    tokio::spawn(
        hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(far), service)
            .with_upgrades(),
    );
    let (mut client, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(near)).await?;
    tokio::spawn(connection.with_upgrades());
    let mut response = client.send_request(request).await?;
    let body = if response.status().as_u16() == 101 {
        let mut upgraded = TokioIo::new(hyper::upgrade::on(&mut response).await?);
        upgraded.write_all(b"echo").await?;
        let mut echo = [0; 4];
        upgraded.read_exact(&mut echo).await?;
        String::from_utf8_lossy(&echo).into_owned()
    } else {
        let body = response.body_mut().collect().await?.to_bytes();
        String::from_utf8_lossy(&body).into_owned()
    };
    let (mut parts, _body) = response.into_parts();
    let refusal = refusals.lock().ok().and_then(|mut kept| kept.take());
    if let Some(refusal) = refusal {
        parts.extensions.insert(refusal);
    }
    Ok((parts, body))
}

/// Parts of a request that only some cases name.
const OPTIONAL: [&str; 2] = ["exact_header_names", "host"];
const RELAYED: &str = "bytes are relayed both ways unchanged";
const PATIENCE: Duration = Duration::from_secs(10);
