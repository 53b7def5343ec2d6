//! What is wanted: one run of a workspace, as its creator asked for it.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use gitpod_routing::{Admission, IdError, InstanceId, Protocol, Visibility, WorkspaceId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub(crate) mod words;

/// One run of a workspace, as it is wanted.
///
/// Made once, by whoever starts a workspace; of its fields only the timeouts,
/// ports, admission, keys and [`deletion_requested_at`](Self::deletion_requested_at)
/// change later. Readable as JSON; unknown keys are ignored.
///
/// **Source:** spec of the `Workspace` resource (section 5.1 of the manager's
/// specification), in words that fit any platform.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Spec {
    /// Name of this run.
    #[serde(with = "words::instance")]
    pub instance: InstanceId,
    /// Name of the workspace, the same in each of its runs.
    pub workspace: WorkspaceName,
    /// User id of its owner; may be empty.
    #[serde(default)]
    pub owner: String,
    /// What it is for.
    #[serde(default)]
    pub kind: WorkspaceKind,
    /// Which class of resources it gets; may be empty.
    #[serde(default)]
    pub class: String,
    /// Images it consists of, where the platform has images.
    #[serde(default)]
    pub image: Image,
    /// Where its files come from.
    #[serde(default)]
    pub content: ContentSource,
    /// Which of its directories an IDE opens, relative to its content.
    #[serde(default)]
    pub location: String,
    /// Environment of its processes, in order; of two with one name the last counts.
    #[serde(default)]
    pub env: Vec<EnvVar>,
    /// Limits of its own, in place of the installation's.
    #[serde(default)]
    pub timeouts: SpecTimeouts,
    /// Who may use it.
    #[serde(with = "words::admission", default = "words::admission::default")]
    pub admission: Admission,
    /// What is known of its ports. Numbers are unique.
    #[serde(default)]
    pub ports: Vec<PortSpec>,
    /// Keys that may log in over SSH, as lines of `authorized_keys`.
    #[serde(default)]
    pub ssh_public_keys: Vec<String>,
    /// Most bytes that its content may take.
    #[serde(default)]
    pub storage_quota: Option<u64>,
    /// Whose name commits carry.
    #[serde(default)]
    pub git_identity: Option<GitIdentity>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Notes of its creator. Not interpreted here.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// When its removal was asked for, if it was. It stops then, and its record goes.
    #[serde(default)]
    pub deletion_requested_at: Option<Timestamp>,
}

impl Spec {
    /// A regular workspace without content, for its owner only.
    #[must_use]
    pub fn new(instance: InstanceId, workspace: WorkspaceName, created_at: Timestamp) -> Self {
        Self {
            instance,
            workspace,
            owner: String::new(),
            kind: WorkspaceKind::Regular,
            class: String::new(),
            image: Image::default(),
            content: ContentSource::Empty,
            location: String::new(),
            env: Vec::new(),
            timeouts: SpecTimeouts::default(),
            admission: Admission::Owner,
            ports: Vec::new(),
            ssh_public_keys: Vec::new(),
            storage_quota: None,
            git_identity: None,
            created_at,
            annotations: BTreeMap::new(),
            deletion_requested_at: None,
        }
    }

    /// Whether nobody looks at it while it runs: prebuilds and image builds.
    #[must_use]
    pub fn is_headless(&self) -> bool {
        self.kind != WorkspaceKind::Regular
    }
}

/// Name of a workspace as its creator wrote it.
///
/// Any text: the lifecycle does not interpret it. What is routed to needs a
/// [`WorkspaceId`]; see [`id`](Self::id). Cloning copies a pointer.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(from = "String", into = "String")]
pub struct WorkspaceName(Arc<str>);

impl WorkspaceName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as an id that hostnames can carry.
    ///
    /// # Errors
    ///
    /// [`IdError`] if it is not of the shape of an id.
    pub fn id(&self) -> Result<WorkspaceId, IdError> {
        self.0.parse()
    }
}

impl From<String> for WorkspaceName {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for WorkspaceName {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<&WorkspaceId> for WorkspaceName {
    fn from(id: &WorkspaceId) -> Self {
        Self(id.as_str().into())
    }
}

impl From<WorkspaceName> for String {
    fn from(name: WorkspaceName) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Display for WorkspaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a workspace is for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[non_exhaustive]
pub enum WorkspaceKind {
    /// Somebody works in it.
    #[default]
    Regular,
    /// Its tasks run once, and its content is kept for others to start from.
    Prebuild,
    /// It builds an image; it has no content to keep.
    ImageBuild,
}

impl WorkspaceKind {
    /// Its name as records and metrics write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regular => "Regular",
            Self::Prebuild => "Prebuild",
            Self::ImageBuild => "ImageBuild",
        }
    }

    /// What the names of its runners start with.
    #[must_use]
    pub fn runner_prefix(self) -> &'static str {
        match self {
            Self::Regular => "ws",
            Self::Prebuild => "prebuild",
            Self::ImageBuild => "imagebuild",
        }
    }
}

/// Images a workspace consists of. Platforms without images leave it empty.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Image {
    /// The user's own.
    pub workspace: String,
    /// The IDE's server.
    pub ide_web: String,
    /// The supervisor.
    pub supervisor: String,
    /// More layers of the IDE.
    pub ide_layers: Vec<String>,
}

/// Where the files of a workspace come from.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ContentSource {
    /// Nowhere: it starts empty.
    #[default]
    Empty,
    /// A git repository.
    Git(GitSource),
    /// An initializer in the form of the reference system (protobuf), not
    /// interpreted by the lifecycle.
    Initializer(Vec<u8>),
}

/// A git repository to clone.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GitSource {
    /// What `git clone` takes: a URL or the path of a local repository.
    pub remote: String,
    /// Branch, tag or commit to check out. The default branch if absent.
    #[serde(default)]
    pub branch: Option<String>,
    /// How many commits of history. All if absent.
    #[serde(default)]
    pub depth: Option<NonZeroU32>,
    /// Directory below the content to clone into. The content itself if empty.
    #[serde(default)]
    pub checkout_location: String,
}

impl GitSource {
    /// The default branch of `remote`, with its whole history.
    #[must_use]
    pub fn new(remote: impl Into<String>) -> Self {
        Self {
            remote: remote.into(),
            branch: None,
            depth: None,
            checkout_location: String::new(),
        }
    }

    /// The remote without credentials that its URL may hold, for people.
    #[must_use]
    pub fn remote_for_people(&self) -> String {
        let Some((scheme, rest)) = self.remote.split_once("://") else {
            return self.remote.clone();
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        format!("{scheme}://{host}{path}")
    }
}

impl fmt::Debug for GitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By hand, so that credentials in the URL are not shown.
        f.debug_struct("GitSource")
            .field("remote", &self.remote_for_people())
            .field("branch", &self.branch)
            .field("depth", &self.depth)
            .field("checkout_location", &self.checkout_location)
            .finish()
    }
}

/// A variable in the environment of a workspace.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl EnvVar {
    /// `name=value`.
    #[must_use]
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

impl fmt::Debug for EnvVar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=***", self.name) // values may be secret
    }
}

/// Limits of one workspace, in place of the installation's
/// [`Timeouts`](crate::Timeouts).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SpecTimeouts {
    /// How long nobody may use it before it stops.
    #[serde(with = "crate::duration::optional_text")]
    pub inactivity: Option<Duration>,
    /// How long it goes on after its last window was closed. Zero: as long as
    /// if it had not been closed.
    #[serde(with = "crate::duration::optional_text")]
    pub closed: Option<Duration>,
    /// How long it may run at all.
    #[serde(with = "crate::duration::optional_text")]
    pub lifetime: Option<Duration>,
}

/// What is known of one port.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PortSpec {
    /// Which one, 1 to 65535.
    pub port: u16,
    /// Who may use it.
    #[serde(with = "words::visibility", default = "words::visibility::default")]
    pub visibility: Visibility,
    /// What its server speaks.
    #[serde(with = "words::protocol", default = "words::protocol::default")]
    pub protocol: Protocol,
    /// What to call it; may be empty.
    #[serde(default)]
    pub name: String,
    /// What it is for; may be empty.
    #[serde(default)]
    pub description: String,
}

impl PortSpec {
    /// Port `port`, for the owner only, speaking HTTP.
    #[must_use]
    pub fn new(port: u16) -> Self {
        Self {
            port,
            visibility: Visibility::Private,
            protocol: Protocol::Http,
            name: String::new(),
            description: String::new(),
        }
    }
}

/// Whose name commits carry.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GitIdentity {
    /// `user.name`.
    pub name: String,
    /// `user.email`.
    pub email: String,
}

impl GitIdentity {
    /// `name <email>`.
    #[must_use]
    pub fn new(name: impl Into<String>, email: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            email: email.into(),
        }
    }
}
