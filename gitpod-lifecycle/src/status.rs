//! What has come of it: the record of one run of a workspace.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::conditions::Conditions;
use crate::phase::Phase;
use crate::token::Token;

mod info;
pub(crate) mod publish;
pub(crate) mod update;

/// What has come of one run of a workspace.
///
/// Written after each pass, read before the next: the whole memory of the
/// lifecycle. Readable as JSON; unknown keys are ignored.
///
/// **Source:** status of the `Workspace` resource (section 5.2 of the manager's
/// specification), in words that fit any platform.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Status {
    /// How far it has come.
    pub phase: Phase,
    /// What else has happened.
    pub conditions: Conditions,
    /// Where it is reached from outside. Set once; empty before.
    pub url: String,
    /// Proves its owner. Set once.
    pub owner_token: Option<Token>,
    /// Its runner.
    pub runner: RunnerInfo,
    /// How many runners were created so far.
    pub runner_starts: u32,
    /// How many of them because the machine refused the one before.
    pub runner_recreated: u32,
    /// When it was first seen `Stopped` and without runner.
    pub runner_deletion_time: Option<Timestamp>,
    /// When it last became `Stopping`.
    pub stopping_time: Option<Timestamp>,
    /// When somebody last used it.
    pub last_activity: Option<Timestamp>,
    /// Where the snapshot of a prebuild is.
    pub snapshot: Option<String>,
    /// What git says of its content, as of the last backup.
    pub git: Option<GitStatus>,
    /// How long its content took, and how large it was.
    pub initializer_metrics: Option<InitializerMetrics>,
    /// How large its image is.
    pub image_info: Option<ImageInfo>,
}

impl Status {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a token and URL that exist from the start.
    #[must_use]
    pub fn with_access(mut self, url: impl Into<String>, token: impl Into<Token>) -> Self {
        self.url = url.into();
        self.owner_token = Some(token.into());
        self
    }
}

/// What is remembered of a runner.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RunnerInfo {
    /// Machine that it is on. Set once; empty before.
    pub node: String,
    /// Its name. Set once; empty before.
    pub name: String,
    /// Its own address, as last seen.
    pub address: Option<IpAddr>,
    /// Address of its machine. Set once.
    pub host_address: Option<IpAddr>,
}

/// What git says of the content of a workspace.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct GitStatus {
    /// Branch that is checked out.
    pub branch: String,
    /// Hash of its newest commit.
    pub latest_commit: String,
    /// Some of the files with changes that are not committed.
    #[serde(rename = "uncommitedFiles")]
    pub uncommitted_files: Vec<String>,
    /// How many of them there are.
    #[serde(rename = "totalUncommitedFiles")]
    pub total_uncommitted_files: i64,
    /// Some of the files that git does not know.
    pub untracked_files: Vec<String>,
    /// How many of them there are.
    pub total_untracked_files: i64,
    /// Some of the commits that are only here.
    pub unpushed_commits: Vec<String>,
    /// How many of them there are.
    pub total_unpushed_commits: i64,
}

/// How long one way of getting content took, and how large that was.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct InitializerMetric {
    /// How long it took.
    #[serde(with = "crate::duration::optional_text")]
    pub duration: Option<Duration>,
    /// How many bytes it was.
    pub size: u64,
}

impl InitializerMetric {
    /// `size` bytes in `duration`.
    #[must_use]
    pub fn new(duration: Duration, size: u64) -> Self {
        Self {
            duration: Some(duration),
            size,
        }
    }
}

/// How long each way of getting content took.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct InitializerMetrics {
    /// Cloning repositories.
    pub git: Option<InitializerMetric>,
    /// Downloading files.
    pub file_download: Option<InitializerMetric>,
    /// Unpacking a snapshot.
    pub snapshot: Option<InitializerMetric>,
    /// Unpacking a backup.
    pub backup: Option<InitializerMetric>,
    /// Unpacking a prebuild.
    pub prebuild: Option<InitializerMetric>,
    /// Several of these.
    pub composite: Option<InitializerMetric>,
}

/// How large an image is.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct ImageInfo {
    /// All of it, in bytes.
    pub total_size: i64,
    /// The user's own part, in bytes.
    pub workspace_image_size: i64,
    /// Name of the user's own part.
    pub workspace_image_ref: String,
}
