//! Cases of single decisions.

use gitpod_routing::layers::OwnPathsLayer;
use gitpod_routing::{
    Access, Endpoint, HostName, HostPattern, HostTarget, Presented, Refusal, WorkspaceId, decide,
    url_port as port_of_url,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use serde_json::{Value, json};
use std::convert::Infallible;
use tower::{Layer, ServiceExt, service_fn};

use super::installation::{cookies, info, pattern, source};
use super::{Result, Why, pairs, text};

pub(super) fn hostname(input: &Value) -> Result<Value> {
    let pattern = pattern(
        text(input, "ws_host_suffix"),
        text(input, "ws_host_suffix_regex"),
    )?;
    let header = text(input, "host_header_name");
    let source = source(header)?;
    let mut request = Request::get(text(input, "path"));
    match text(input, "request_host") {
        "" => {}
        host => request = request.header("host", host),
    }
    let value = input.get("host_header_value").and_then(Value::as_str);
    if let (Some(value), false) = (value, header.eq_ignore_ascii_case("host")) {
        request = request.header(header, value);
    }
    let (parts, ()) = request.body(())?.into_parts();

    let layer = OwnPathsLayer::new(pattern.clone(), source.clone());
    if let Some(answer) = own_answer(&layer, parts.clone())? {
        return Ok(answer);
    }
    match source.host_of(&parts).and_then(|host| pattern.parse(host)) {
        Ok(HostName::Workspace(target)) => Ok(coordinates(&target)),
        Ok(HostName::Foreign(_)) => Ok(foreign(&pattern, parts.uri.path())),
        _ => Ok(json!({ "router": "none", "status": 404 })),
    }
}

/// What the layer in front of the stages says, if it says something.
fn own_answer(layer: &OwnPathsLayer, parts: Parts) -> Result<Option<Value>> {
    let next = service_fn(|_: Request<()>| async {
        let mut passed = Response::new(());
        *passed.status_mut() = StatusCode::IM_A_TEAPOT;
        Ok::<_, Infallible>(passed)
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let answer = layer.layer(next).oneshot(Request::from_parts(parts, ()));
    let response = runtime.block_on(answer)?;
    let status = response.status().as_u16();
    let router = match status {
        200 => "health",
        301 => "redirect",
        403 => "acme",
        _ => return Ok(None),
    };
    let location = response.headers().get("location");
    let location = location.and_then(|value| value.to_str().ok());
    Ok(Some(
        json!({ "router": router, "status": status, "location": location }),
    ))
}

fn coordinates(target: &HostTarget) -> Value {
    let (router, port) = match target.endpoint {
        Endpoint::Port(number) => ("port", Value::from(number.to_string())),
        _ => ("ide", Value::Null),
    };
    json!({
        "router": router,
        "workspace_id": target.workspace.as_str(),
        "port": port,
        "debug": target.debug,
        "foreign": false,
    })
}

fn foreign(pattern: &HostPattern, path: &str) -> Value {
    let Ok((target, rest)) = pattern.parse_foreign_path(path) else {
        return json!({ "router": "foreign", "debug": false, "foreign": true });
    };
    let mut found = coordinates(&target);
    found["router"] = "foreign".into();
    found["foreign"] = true.into();
    found["path_prefix"] = path.strip_suffix(rest).into();
    found
}

pub(super) fn workspace_id(input: &Value) -> Result<Value> {
    Ok(json!({ "valid": WorkspaceId::matches(text(input, "id")) }))
}

pub(super) fn auth(fixtures: &Value, input: &Value) -> Result<Value> {
    let wanted = text(input, "workspace_id");
    if wanted.is_empty() {
        let why = "a request without a workspace does not reach this stage: its types forbid it";
        return Err(Why::Skip(why.into()));
    }
    let known = input.get("workspaces").and_then(Value::as_array);
    let workspace = known
        .into_iter()
        .flatten()
        .filter_map(|name| fixtures["workspaces"].get(name.as_str()?))
        .find(|workspace| text(workspace, "workspace_id") == wanted);
    let Some(workspace) = workspace else {
        return Ok(refused(&Refusal::NoSuchWorkspace));
    };
    let info = info(workspace, Some(STAND_IN))?;
    let mut headers = HeaderMap::new();
    for (name, value) in pairs(input, "headers") {
        headers.append(
            name.parse::<HeaderName>()?,
            HeaderValue::from_bytes(value.as_bytes())?,
        );
    }
    let names = cookies(text(input, "cookie_domain"));
    let presented = Presented::find(&headers, &names, &info.instance);
    Ok(
        match decide(&info, endpoint(text(input, "port")), &presented) {
            Ok(access) => json!({
                "handler_called": true,
                "status": 200,
                "public_context_acquired": access == Access::Anonymous,
            }),
            Err(why) => refused(&Refusal::Denied(why)),
        },
    )
}

fn refused(why: &Refusal) -> Value {
    json!({
        "handler_called": false,
        "status": why.status().as_u16(),
        "public_context_acquired": false,
    })
}

/// What cannot be a port is one that nobody has described.
fn endpoint(port: &str) -> Endpoint {
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    match port {
        "" => Endpoint::Ide,
        _ => Endpoint::Port(port.parse().ok().filter(|_| digits).unwrap_or_default()),
    }
}

pub(super) fn cookie(input: &Value) -> Result<Value> {
    let lines = input.get("cookie_header_lines").and_then(Value::as_array);
    let mut values = Vec::new();
    for line in lines.into_iter().flatten().filter_map(Value::as_str) {
        match HeaderValue::from_bytes(line.as_bytes()) {
            Ok(value) => values.push(value),
            Err(_) => return Err(Why::Skip("no HTTP server lets this field through".into())),
        }
    }
    let kept = cookies(text(input, "domain")).filter(&values);
    let kept = kept.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Ok(json!({ "forwarded_cookie_header": kept.unwrap_or_default() }))
}

pub(super) fn cookie_name(input: &Value) -> Result<Value> {
    let instance = text(input, "instance_id").parse()?;
    let name = cookies(text(input, "domain")).owner_cookie(&instance);
    Ok(json!({ "cookie_name": name }))
}

pub(super) fn session_cookie_name(input: &Value) -> Result<Value> {
    let names = cookies(text(input, "domain"));
    Ok(json!({ "cookie_name": names.session_cookie() }))
}

pub(super) fn url_port(input: &Value) -> Result<Value> {
    let port = port_of_url(text(input, "url"));
    let port = port.map(|port| port.to_string()).unwrap_or_default();
    Ok(json!({ "port": port }))
}

/// The cases of authentication name their workspace by what is no workspace id.
const STAND_IN: &str = "pink-panda-ns35kd21";
