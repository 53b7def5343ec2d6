//! What is known of content, as it is on the wire, and back.

use std::time::Duration;

use crate::grpc::generated::{contentservice, wsman};
use crate::status::{GitStatus, InitializerMetric, InitializerMetrics};

impl From<GitStatus> for contentservice::GitStatus {
    fn from(git: GitStatus) -> Self {
        Self {
            branch: git.branch,
            latest_commit: git.latest_commit,
            uncommited_files: git.uncommitted_files,
            untracked_files: git.untracked_files,
            unpushed_commits: git.unpushed_commits,
            total_uncommited_files: git.total_uncommitted_files,
            total_untracked_files: git.total_untracked_files,
            total_unpushed_commits: git.total_unpushed_commits,
        }
    }
}

impl From<contentservice::GitStatus> for GitStatus {
    fn from(git: contentservice::GitStatus) -> Self {
        Self {
            branch: git.branch,
            latest_commit: git.latest_commit,
            uncommitted_files: git.uncommited_files,
            total_uncommitted_files: git.total_uncommited_files,
            untracked_files: git.untracked_files,
            total_untracked_files: git.total_untracked_files,
            unpushed_commits: git.unpushed_commits,
            total_unpushed_commits: git.total_unpushed_commits,
        }
    }
}

impl From<InitializerMetrics> for wsman::InitializerMetrics {
    fn from(metrics: InitializerMetrics) -> Self {
        Self {
            git: metrics.git.map(Into::into),
            file_download: metrics.file_download.map(Into::into),
            snapshot: metrics.snapshot.map(Into::into),
            backup: metrics.backup.map(Into::into),
            prebuild: metrics.prebuild.map(Into::into),
            composite: metrics.composite.map(Into::into),
        }
    }
}

impl From<wsman::InitializerMetrics> for InitializerMetrics {
    fn from(metrics: wsman::InitializerMetrics) -> Self {
        Self {
            git: metrics.git.map(Into::into),
            file_download: metrics.file_download.map(Into::into),
            snapshot: metrics.snapshot.map(Into::into),
            backup: metrics.backup.map(Into::into),
            prebuild: metrics.prebuild.map(Into::into),
            composite: metrics.composite.map(Into::into),
        }
    }
}

impl From<InitializerMetric> for wsman::InitializerMetric {
    fn from(metric: InitializerMetric) -> Self {
        let wire = |duration| prost_types::Duration::try_from(duration).ok();
        Self {
            duration: metric.duration.and_then(wire),
            size: metric.size,
        }
    }
}

impl From<wsman::InitializerMetric> for InitializerMetric {
    fn from(metric: wsman::InitializerMetric) -> Self {
        let own = |duration| Duration::try_from(duration).ok();
        Self {
            duration: metric.duration.and_then(own),
            size: metric.size,
        }
    }
}
