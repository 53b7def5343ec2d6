//! Installations and workspaces of the cases, as values of gitpod-routing.

use gitpod_routing::{
    Admission, CookieNames, HostPattern, HostSource, OwnerToken, PortInfo, Protocol, RunState,
    SiblingPattern, WorkspaceInfo,
};
use serde_json::Value;

use super::{Result, Why, text};

/// Reads a suffix and the pattern for sibling clusters, which the cases give as an expression.
pub(super) fn pattern(suffix: &str, siblings: &str) -> Result<HostPattern> {
    let domain = suffix.strip_prefix('.').unwrap_or(suffix);
    let pattern = HostPattern::new(domain)?.with_reference_rules();
    let plain = siblings.replace(r"[^\.]*", "*").replace(r"\.", ".");
    let plain = plain.strip_prefix('.').unwrap_or(&plain);
    if plain.is_empty() || plain == domain {
        return Ok(pattern);
    }
    let siblings = SiblingPattern::new(plain)
        .map_err(|_| Why::Skip(format!("suffixes like {siblings} cannot be configured")))?;
    Ok(pattern.with_siblings(siblings))
}

/// Where a host is read from; `header` may be `Host` itself.
pub(super) fn source(header: &str) -> Result<HostSource> {
    let source = HostSource::new().with_target_first();
    Ok(source.with_trusted_header(header.parse()?))
}

/// Cookie names as the reference writes them.
pub(super) fn cookies(domain: &str) -> CookieNames {
    CookieNames::new(domain).with_reference_spelling()
}

/// A workspace of the fixtures. `id` stands in for one that is no workspace id.
pub(super) fn info(workspace: &Value, id: Option<&str>) -> Result<WorkspaceInfo> {
    let id = id
        .unwrap_or_else(|| text(workspace, "workspace_id"))
        .parse()?;
    let instance = text(workspace, "instance_id").parse()?;
    let mut info = WorkspaceInfo::new(
        id,
        instance,
        OwnerToken::new(text(workspace, "owner_token")),
    );
    // The reference asks nobody whether a workspace runs before it dials.
    info.state = RunState::Running;
    info.address = match workspace.get("ip").and_then(Value::as_str) {
        None => Some([127, 0, 0, 1].into()),
        Some("") => None,
        Some(ip) => Some(ip.parse()?),
    };
    if text(workspace, "admission") == "everyone" {
        info.admission = Admission::Everyone;
    }
    let ports = workspace.get("ports").and_then(Value::as_array);
    info.ports = ports.into_iter().flatten().filter_map(port).collect();
    Ok(info)
}

fn port(port: &Value) -> Option<PortInfo> {
    let number = port.get("port")?.as_u64()?.try_into().ok()?;
    let mut info = PortInfo::new(number);
    if text(port, "visibility") == "public" {
        info = info.public();
    }
    if text(port, "protocol") == "https" {
        info = info.with_protocol(Protocol::Https);
    }
    Some(info)
}
