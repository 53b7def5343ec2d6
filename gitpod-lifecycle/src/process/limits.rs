//! How much a workspace may use: which part of the system sees to it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::cgroup::Cgroup;
use super::settings::Limits;

/// Limits that a supervisor sets for itself and all that it starts, each for
/// every process on its own.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub(crate) struct ProcessLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    open_files: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address_space_bytes: Option<u64>,
    core_bytes: u64,
}

/// What limits a workspace, for people.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Enforcement {
    by_group: Vec<String>,
    by_process: Vec<String>,
    not_at_all: Vec<String>,
    pub(crate) group: bool,
}

impl Enforcement {
    /// Sets what `group` can limit; says what is left for the processes.
    pub(crate) fn set(limits: &Limits, group: Option<&Cgroup>) -> (Self, ProcessLimits) {
        let mut how = Self {
            group: group.is_some(),
            ..Self::default()
        };
        let mut rest = ProcessLimits {
            core_bytes: 0, // a dump would land in the content
            ..ProcessLimits::default()
        };
        let by_group = |file, value| group.is_some_and(|group| group.limit(file, value));
        if let Some(bytes) = limits.memory_bytes {
            if by_group("memory.max", bytes) {
                how.by_group.push("memory".to_owned());
            } else {
                how.by_process.push("memory".to_owned());
                rest.address_space_bytes = Some(bytes);
            }
        }
        if let Some(count) = limits.processes {
            match by_group("pids.max", count) {
                true => how.by_group.push("processes".to_owned()),
                false => how.not_at_all.push("processes".to_owned()),
            }
        }
        if let Some(files) = limits.open_files {
            how.by_process.push("open files".to_owned());
            rest.open_files = Some(files);
        }
        (how, rest)
    }
}

impl fmt::Display for Enforcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("by control group: ", &self.by_group),
            ("for each process: ", &self.by_process),
            ("cannot be limited here: ", &self.not_at_all),
        ];
        let said: Vec<_> = parts
            .into_iter()
            .filter(|(_, what)| !what.is_empty())
            .map(|(how, what)| format!("{how}{}", what.join(", ")))
            .collect();
        match said.is_empty() {
            true => f.write_str("no limits"),
            false => f.write_str(&said.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_control_group_it_says_what_each_process_may_use_and_what_is_not_limited() {
        let limits = Limits {
            memory_bytes: Some(1 << 30),
            processes: Some(100),
            open_files: Some(1024),
        };
        let (how, rest) = Enforcement::set(&limits, None);
        assert_eq!(
            how.to_string(),
            "for each process: memory, open files; cannot be limited here: processes"
        );
        assert_eq!(rest.address_space_bytes, Some(1 << 30));
        assert_eq!(
            Enforcement::set(&Limits::default(), None).0.to_string(),
            "no limits"
        );
    }
}
