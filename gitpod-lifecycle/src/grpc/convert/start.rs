//! From a request to start an instance to its [`Spec`].

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use gitpod_routing::{Admission, InstanceId, Protocol, Visibility};
use jiff::Timestamp;

use super::initializer::content_of;
use super::label::is_label;
use crate::duration::GoDuration;
use crate::grpc::error::Invalid;
use crate::grpc::generated::wsman;
use crate::grpc::generated::wsman::{
    AdmissionLevel, EnvironmentVariable, PortProtocol, PortVisibility, StartWorkspaceRequest,
    StartWorkspaceSpec, WorkspaceFeatureFlag, WorkspaceMetadata, WorkspaceType,
};
use crate::grpc::policy::{Images, Policy, ResourceClass};
use crate::spec::{
    EnvVar, GitIdentity, Image, PortSpec, Spec, SpecTimeouts, WorkspaceKind, WorkspaceName,
};

/// The instance that `request` asks for.
///
/// **Source:** manager specification, section 3.3, in its order: of two faults
/// the first is told. What crashes the reference system is refused (Q16).
pub(in crate::grpc) fn spec_of(
    request: StartWorkspaceRequest,
    policy: &Policy,
) -> Result<Spec, Invalid> {
    let metadata = request.metadata.ok_or(Invalid::missing("metadata"))?;
    let asked = request.spec.ok_or(Invalid::missing("spec"))?;
    require_fields(&asked, policy.images)?;
    let initializer = asked.initializer.as_ref();
    let initializer = initializer.ok_or(Invalid::missing("spec.initializer"))?;
    let ports = ports_of(&asked.ports)?;
    let instance = instance_of(&request.id)?;
    let kind = kind_of(request.r#type)?;
    if kind == WorkspaceKind::Regular && request.service_prefix.is_empty() {
        return Err(Invalid::missing("service_prefix"));
    }
    let created_at = Timestamp::UNIX_EPOCH; // the manager says when
    let mut spec = Spec::new(instance, name_of(&metadata)?, created_at);
    spec.kind = kind;
    spec.ports = ports;
    spec.timeouts = timeouts_of(&asked)?;
    spec.admission = admission_of(asked.admission)?;
    let class = policy.class_of(&asked.class)?;
    spec.storage_quota = class.and_then(|class| class.storage_quota);
    spec.class = class.map_or_else(|| asked.class.clone(), |class| class.id.clone());
    spec.env = env_of(&asked)?;
    if policy.images == Images::Required && asked.ide_image.is_none() {
        return Err(Invalid::missing("spec.ide_image"));
    }
    spec.content = content_of(initializer, policy.initializers)?;
    spec.annotations = annotations_of(&metadata, class, &asked.feature_flags);
    spec.owner = metadata.owner;
    take_rest(&mut spec, asked);
    Ok(spec)
}

fn require_fields(asked: &StartWorkspaceSpec, images: Images) -> Result<(), Invalid> {
    if images == Images::Required && asked.workspace_image.is_empty() {
        return Err(Invalid::missing("spec.workspace_image"));
    }
    if asked.workspace_location.is_empty() {
        return Err(Invalid::missing("spec.workspace_location"));
    }
    Ok(())
}

/// What is taken over as it is.
fn take_rest(spec: &mut Spec, asked: StartWorkspaceSpec) {
    let ide = asked.ide_image.unwrap_or_default();
    spec.image = Image {
        workspace: asked.workspace_image,
        ide_web: ide.web_ref,
        supervisor: ide.supervisor_ref,
        ide_layers: asked.ide_image_layers,
    };
    spec.location = asked.workspace_location;
    spec.ssh_public_keys = asked.ssh_public_keys;
    let identity = |git: wsman::GitSpec| GitIdentity::new(git.username, git.email);
    spec.git_identity = asked.git.map(identity);
}

fn instance_of(id: &str) -> Result<InstanceId, Invalid> {
    if id.is_empty() {
        return Err(Invalid::missing("id"));
    }
    let wrong = "must be 1 to 63 letters, digits and dashes in lowercase, without a dash at an end";
    id.parse().map_err(|_| Invalid::new("id", wrong))
}

fn name_of(metadata: &WorkspaceMetadata) -> Result<WorkspaceName, Invalid> {
    if metadata.meta_id.is_empty() {
        return Err(Invalid::missing("metadata.meta_id"));
    }
    let names = [
        ("metadata.meta_id", &metadata.meta_id),
        ("metadata.owner", &metadata.owner),
    ];
    for (field, name) in names {
        if !is_label(name) {
            let wrong = "must be up to 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends";
            return Err(Invalid::new(field, wrong));
        }
    }
    Ok(WorkspaceName::from(&*metadata.meta_id))
}

fn kind_of(number: i32) -> Result<WorkspaceKind, Invalid> {
    match WorkspaceType::try_from(number) {
        Ok(WorkspaceType::Regular) => Ok(WorkspaceKind::Regular),
        Ok(WorkspaceType::Prebuild) => Ok(WorkspaceKind::Prebuild),
        Ok(WorkspaceType::Imagebuild) => Ok(WorkspaceKind::ImageBuild),
        Err(_) => Err(Invalid::new("type", format!("{number} is no type"))),
    }
}

fn admission_of(number: i32) -> Result<Admission, Invalid> {
    match AdmissionLevel::try_from(number) {
        Ok(AdmissionLevel::AdmitOwnerOnly) => Ok(Admission::Owner),
        Ok(AdmissionLevel::AdmitEveryone) => Ok(Admission::Everyone),
        Err(_) => Err(Invalid::new("admission", format!("{number} is no level"))),
    }
}

fn timeouts_of(asked: &StartWorkspaceSpec) -> Result<SpecTimeouts, Invalid> {
    Ok(SpecTimeouts {
        inactivity: limit_of("spec.timeout", &asked.timeout)?,
        closed: limit_of("spec.closed_timeout", &asked.closed_timeout)?,
        lifetime: limit_of("spec.maximum_lifetime", &asked.maximum_lifetime)?,
    })
}

fn limit_of(field: &'static str, text: &str) -> Result<Option<Duration>, Invalid> {
    if text.is_empty() {
        return Ok(None);
    }
    let limit: GoDuration = text
        .parse()
        .map_err(|why| Invalid::new(field, format!("{why}")))?;
    let length = limit.to_std();
    let sane = length.filter(|length| length.is_zero() || *length >= Duration::from_millis(1));
    sane.map(Some)
        .ok_or_else(|| Invalid::new(field, format!("{limit} is negative or below 1ms")))
}

fn ports_of(asked: &[wsman::PortSpec]) -> Result<Vec<PortSpec>, Invalid> {
    let mut seen = HashSet::new();
    let mut ports = Vec::with_capacity(asked.len());
    for port in asked {
        let number = port_number("spec.ports", port.port)?;
        if !seen.insert(number) {
            return Err(Invalid::new(
                "spec.ports",
                format!("{number} is listed twice"),
            ));
        }
        ports.push(port_of(number, port));
    }
    Ok(ports)
}

/// A port, 1 to 65535 (Q19).
pub(in crate::grpc) fn port_number(field: &'static str, number: u32) -> Result<u16, Invalid> {
    let port = u16::try_from(number).ok().filter(|port| *port != 0);
    port.ok_or_else(|| Invalid::new(field, format!("{number} is no port, use 1 to 65535")))
}

/// Port `number`, exposed as `wanted` says. Numbers that are not known count as
/// the safer value: for the owner only, HTTP.
pub(in crate::grpc) fn port_of(number: u16, wanted: &wsman::PortSpec) -> PortSpec {
    let mut port = PortSpec::new(number);
    if wanted.visibility == i32::from(PortVisibility::Public) {
        port.visibility = Visibility::Public;
    }
    if wanted.protocol == i32::from(PortProtocol::Https) {
        port.protocol = Protocol::Https;
    }
    port
}

/// The system's variables, then the user's: the last of a name counts.
///
/// **Source:** manager specification, sections 3.4 and 9.1. There are no stored
/// secrets here: one that refers to one is refused.
fn env_of(asked: &StartWorkspaceSpec) -> Result<Vec<EnvVar>, Invalid> {
    let own = |variable: &&EnvironmentVariable| may_be_set(&variable.name);
    let of_system = asked.sys_envvars.iter();
    let all = of_system.chain(asked.envvars.iter().filter(own));
    let mut env = Vec::new();
    for variable in all.filter(|variable| !variable.name.is_empty()) {
        let (name, value) = (&*variable.name, &*variable.value);
        if variable.secret.is_some() {
            let why = format!("`{name}` refers to a stored secret, and there are none here");
            return Err(Invalid::new("spec.envvars", why));
        }
        if name.contains(['=', '\0']) || value.contains('\0') {
            let why = format!("{name:?} cannot be set: it contains `=` or NUL");
            return Err(Invalid::new("spec.envvars", why));
        }
        if !value.is_empty() {
            env.push(EnvVar::new(name, value));
        }
    }
    Ok(env)
}

/// Whether users may set variable `name`: of those of the system, only these.
fn may_be_set(name: &str) -> bool {
    const OF_USERS: [&str; 9] = [
        "GITPOD_WORKSPACE_CONTEXT",
        "GITPOD_WORKSPACE_CONTEXT_URL",
        "GITPOD_TASKS",
        "GITPOD_RESOLVED_EXTENSIONS",
        "GITPOD_EXTERNAL_EXTENSIONS",
        "GITPOD_WORKSPACE_CLASS_INFO",
        "GITPOD_IDE_ALIAS",
        "GITPOD_RLIMIT_CORE",
        "GITPOD_IMAGE_AUTH",
    ];
    !name.starts_with("GITPOD_") || OF_USERS.contains(&name)
}

/// The creator's notes, then those of the class, then what feature flags stand
/// for. Unknown flags are ignored.
fn annotations_of(
    metadata: &WorkspaceMetadata,
    class: Option<&ResourceClass>,
    flags: &[i32],
) -> BTreeMap<String, String> {
    let of_class = class.into_iter().flat_map(|class| &class.annotations);
    let notes = metadata.annotations.iter().chain(of_class);
    let mut all: BTreeMap<_, _> = notes
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let of_flags = [
        (
            WorkspaceFeatureFlag::WorkspaceConnectionLimiting,
            "gitpod.io/netConnLimitPerMinute",
        ),
        (WorkspaceFeatureFlag::WorkspacePsi, "gitpod.io/psi"),
    ];
    for (flag, annotation) in of_flags {
        if flags.contains(&i32::from(flag)) {
            all.insert(annotation.to_owned(), "true".to_owned());
        }
    }
    all
}
