use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Deserialize;

/// Limits of this process and of everything it starts, each per process, except `processes`, which is per user.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    #[serde(default)]
    open_files: Option<u64>,
    #[serde(default)]
    processes: Option<u64>,
    #[serde(default)]
    address_space_bytes: Option<u64>,
    #[serde(default)]
    file_size_bytes: Option<u64>,
    #[serde(default)]
    core_bytes: Option<u64>,
    #[serde(default)]
    cpu_seconds: Option<u64>,
}

impl Limits {
    /// Sets them. A limit above what this process is allowed itself is set to that.
    pub(crate) fn apply(&self) -> Result<()> {
        let limits = [
            ("open_files", Resource::Nofile, self.open_files),
            ("processes", Resource::Nproc, self.processes),
            (
                "address_space_bytes",
                Resource::As,
                self.address_space_bytes,
            ),
            ("file_size_bytes", Resource::Fsize, self.file_size_bytes),
            ("core_bytes", Resource::Core, self.core_bytes),
            ("cpu_seconds", Resource::Cpu, self.cpu_seconds),
        ];
        for (name, resource, wanted) in limits {
            let Some(wanted) = wanted else { continue };
            let allowed = getrlimit(resource).maximum;
            let value = allowed.map_or(wanted, |allowed| allowed.min(wanted));
            setrlimit(
                resource,
                Rlimit {
                    current: Some(value),
                    maximum: Some(value),
                },
            )
            .with_context(|| format!("cannot set the limit `{name}` to {value}"))?;
        }
        Ok(())
    }
}
