//! From the `Workspace` resource to the words of the core, and back.

use std::net::IpAddr;
use std::time::Duration;

use gitpod_routing::{Admission, IdError, Protocol, Visibility};
use jiff::Timestamp;

use super::resource::{Git, Image, Port, Runtime, Timeout, Workspace, WorkspaceSpec};
use crate::duration::GoDuration;
use crate::phase::{Phase, PhaseError};
use crate::spec::{
    ContentSource, EnvVar, GitIdentity, PortSpec, Spec, SpecTimeouts, WorkspaceName,
};
use crate::status::{RunnerInfo, Status};

/// A `Workspace` resource that cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ResourceError {
    /// Its name is not a DNS label.
    #[error("name of the workspace resource is no instance id")]
    Name(#[source] IdError),
    /// Its phase does not exist.
    #[error("workspace resource has an unknown phase")]
    Phase(#[source] PhaseError),
    /// One of its limits is negative.
    #[error("workspace resource has a negative timeout")]
    NegativeTimeout,
    /// One of its ports is not between 1 and 65535.
    #[error("workspace resource has port {0}, which is not between 1 and 65535")]
    Port(i32),
}

impl Workspace {
    /// What is wanted, in the words of the core.
    ///
    /// Variables whose value is kept elsewhere (`valueFrom`) are left out: they
    /// are only resolved inside the cluster.
    ///
    /// # Errors
    ///
    /// [`ResourceError`] if a field holds what the schema does not allow.
    pub fn to_spec(&self) -> Result<Spec, ResourceError> {
        let name = self.metadata.name.as_deref().unwrap_or_default();
        let instance = name.parse().map_err(ResourceError::Name)?;
        let workspace = WorkspaceName::from(&*self.spec.ownership.workspace_id);
        let created_at = self
            .metadata
            .creation_timestamp
            .as_ref()
            .map_or(Timestamp::UNIX_EPOCH, |time| time.0);
        let mut spec = Spec::new(instance, workspace, created_at);
        spec.owner.clone_from(&self.spec.ownership.owner);
        spec.kind = self.spec.kind;
        spec.class.clone_from(&self.spec.class);
        spec.image = self.spec.image.to_core();
        spec.content = self.spec.content();
        spec.location.clone_from(&self.spec.workspace_location);
        spec.env = self.spec.env();
        spec.timeouts = self.spec.timeout.to_core()?;
        spec.admission = match self.spec.admission.level.as_str() {
            "Everyone" => Admission::Everyone,
            _ => Admission::Owner,
        };
        spec.ports = self
            .spec
            .ports
            .iter()
            .map(Port::to_core)
            .collect::<Result<_, _>>()?;
        spec.ssh_public_keys.clone_from(&self.spec.ssh_public_keys);
        spec.storage_quota = self.spec.storage_quota;
        let identity = |git: &Git| GitIdentity::new(&*git.username, &*git.email);
        spec.git_identity = self.spec.git.as_ref().map(identity);
        spec.annotations = self.metadata.annotations.clone().unwrap_or_default();
        spec.deletion_requested_at = self.metadata.deletion_timestamp.as_ref().map(|time| time.0);
        Ok(spec)
    }

    /// What has come of it, in the words of the core.
    ///
    /// # Errors
    ///
    /// [`ResourceError::Phase`] if its phase does not exist.
    pub fn to_status(&self) -> Result<Status, ResourceError> {
        let known = &self.status;
        let mut status = Status::new();
        status.phase = known.phase.parse::<Phase>().map_err(ResourceError::Phase)?;
        status.conditions = known.conditions.clone();
        status.url.clone_from(&known.url);
        status.owner_token = known
            .owner_token
            .clone()
            .filter(|token| !token.expose().is_empty());
        status.runner = known
            .runtime
            .as_ref()
            .map(Runtime::to_core)
            .unwrap_or_default();
        status.runner_starts = known.pod_starts;
        status.runner_recreated = known.pod_recreated;
        status.runner_deletion_time = known.pod_deletion_time;
        status.stopping_time = known.pod_stopping_time;
        status.last_activity = known.last_activity;
        status.snapshot.clone_from(&known.snapshot);
        status.git.clone_from(&known.git);
        status.initializer_metrics = known.initializer_metrics;
        status.image_info.clone_from(&known.image_info);
        Ok(status)
    }

    /// Puts `status` in the place of what is known here; what others keep stays.
    pub fn set_status(&mut self, status: &Status) {
        let known = &mut self.status;
        known.phase = status.phase.as_str().to_owned();
        known.conditions = status.conditions.clone();
        known.url.clone_from(&status.url);
        known.owner_token.clone_from(&status.owner_token);
        known.runtime = Runtime::of(&status.runner);
        known.pod_starts = status.runner_starts;
        known.pod_recreated = status.runner_recreated;
        known.pod_deletion_time = status.runner_deletion_time;
        known.pod_stopping_time = status.stopping_time;
        known.last_activity = status.last_activity;
        known.snapshot.clone_from(&status.snapshot);
        known.git.clone_from(&status.git);
        known.initializer_metrics = status.initializer_metrics;
        known.image_info.clone_from(&status.image_info);
    }

    /// Which change of the resource this is; 0 if its version is not a number.
    #[must_use]
    pub fn version(&self) -> u64 {
        let version = self
            .metadata
            .resource_version
            .as_deref()
            .unwrap_or_default();
        version.parse().unwrap_or(0)
    }
}

impl WorkspaceSpec {
    fn content(&self) -> ContentSource {
        match &self.initializer {
            Some(bytes) if !bytes.0.is_empty() => ContentSource::Initializer(bytes.0.clone()),
            _ => ContentSource::Empty,
        }
    }

    fn env(&self) -> Vec<EnvVar> {
        let all = self.sys_env_vars.iter().chain(&self.user_env_vars);
        let with_value = all.filter_map(|var| Some(EnvVar::new(&*var.name, var.value.as_deref()?)));
        with_value.collect()
    }
}

impl Image {
    fn to_core(&self) -> crate::spec::Image {
        crate::spec::Image {
            workspace: self.workspace.reference.clone(),
            ide_web: self.ide.web.clone(),
            supervisor: self.ide.supervisor.clone(),
            ide_layers: self.ide.refs.clone(),
        }
    }
}

impl Timeout {
    fn to_core(&self) -> Result<SpecTimeouts, ResourceError> {
        let limit = |own: Option<GoDuration>| -> Result<Option<Duration>, ResourceError> {
            own.map(|own| own.to_std().ok_or(ResourceError::NegativeTimeout))
                .transpose()
        };
        Ok(SpecTimeouts {
            inactivity: limit(self.time)?,
            closed: limit(self.closed)?,
            lifetime: limit(self.maximum_lifetime)?,
        })
    }
}

impl Port {
    fn to_core(&self) -> Result<PortSpec, ResourceError> {
        let number = u16::try_from(self.port).ok().filter(|number| *number > 0);
        let mut port = PortSpec::new(number.ok_or(ResourceError::Port(self.port))?);
        if self.visibility == "Everyone" {
            port.visibility = Visibility::Public;
        }
        if self.protocol == "Https" {
            port.protocol = Protocol::Https;
        }
        Ok(port)
    }
}

impl Runtime {
    fn to_core(&self) -> RunnerInfo {
        RunnerInfo {
            node: self.node_name.clone(),
            name: self.pod_name.clone(),
            address: self.pod_ip.parse().ok(),
            host_address: self.host_ip.parse().ok(),
        }
    }

    fn of(runner: &RunnerInfo) -> Option<Self> {
        let text = |address: Option<IpAddr>| {
            address
                .map(|address| address.to_string())
                .unwrap_or_default()
        };
        let known = *runner != RunnerInfo::default();
        known.then(|| Self {
            node_name: runner.node.clone(),
            pod_name: runner.name.clone(),
            pod_ip: text(runner.address),
            host_ip: text(runner.host_address),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_others_keep_in_the_status_survives() {
        let text = json!({
            "metadata": {"name": "i1"},
            "status": {"phase": "Running", "storage": {"mountPath": ""}, "novel": 7},
        });
        let mut workspace: Workspace = serde_json::from_value(text).unwrap();
        let mut status = workspace.to_status().unwrap();
        assert_eq!(status.phase, Phase::Running);
        status.phase = Phase::Stopping;
        workspace.set_status(&status);
        let written = serde_json::to_value(&workspace.status).unwrap();
        assert_eq!(written["phase"], "Stopping");
        assert_eq!(written["storage"], json!({"mountPath": ""}));
        assert_eq!(written["novel"], 7);
    }

    #[test]
    fn what_the_schema_does_not_allow_is_refused() {
        let read = |spec: Value| {
            let text = json!({"metadata": {"name": "i1"}, "spec": spec});
            serde_json::from_value::<Workspace>(text)
                .unwrap()
                .to_spec()
                .map(|_| ())
        };
        assert_eq!(read(json!({})), Ok(()));
        assert_eq!(
            read(json!({"ports": [{"port": 70000}]})),
            Err(ResourceError::Port(70_000))
        );
        assert_eq!(
            read(json!({"ports": [{"port": 0}]})),
            Err(ResourceError::Port(0))
        );
        assert_eq!(
            read(json!({"timeout": {"time": "-5m"}})),
            Err(ResourceError::NegativeTimeout)
        );
    }

    #[test]
    fn resource_of_a_whole_workspace_is_read() {
        let text = json!({
            "metadata": {"name": "i1", "resourceVersion": "41", "creationTimestamp": "2026-11-21T12:00:00Z"},
            "spec": {
                "ownership": {"owner": "o1", "workspaceID": "w1"},
                "type": "Prebuild",
                "initializer": "AQI=",
                "sysEnvVars": [{"name": "A", "value": "1"}],
                "userEnvVars": [{"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
                "timeout": {"maximumLifetime": "2h"},
                "admission": {"level": "Everyone"},
                "ports": [{"port": 3000, "visibility": "Everyone", "protocol": "Https"}],
            },
        });
        let workspace: Workspace = serde_json::from_value(text).unwrap();
        let spec = workspace.to_spec().unwrap();
        assert_eq!(workspace.version(), 41);
        assert_eq!(spec.workspace.as_str(), "w1");
        assert!(spec.is_headless());
        assert_eq!(spec.content, ContentSource::Initializer(vec![1, 2]));
        assert_eq!(spec.env, [EnvVar::new("A", "1")]);
        assert_eq!(spec.timeouts.lifetime, Some(Duration::from_secs(7200)));
        assert_eq!(spec.admission, Admission::Everyone);
        assert_eq!(spec.ports[0].visibility, Visibility::Public);
        assert_eq!(spec.ports[0].protocol, Protocol::Https);
    }
}
