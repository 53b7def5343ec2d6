//! Making an instance.

use std::collections::HashSet;

use super::error::ManageError;
use super::manager::Manager;
use crate::facts::Maintenance;
use crate::phase::Phase;
use crate::records::{Record, RecordError};
use crate::spec::Spec;
use crate::status::Status;
use crate::token::Token;

/// How to reach a workspace.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Access {
    /// Where.
    pub url: String,
    /// What proves its owner.
    pub owner_token: Token,
}

impl Access {
    fn of(record: &Record) -> Option<Self> {
        Some(Self {
            url: record.status.url.clone(),
            owner_token: record.status.owner_token.clone()?,
        })
    }
}

impl Manager {
    /// Makes an instance as `spec` says, created now, and returns once it is
    /// recorded; the rest happens by itself.
    ///
    /// Asked again with the same instance of the same workspace, it answers as
    /// the first time and changes nothing.
    ///
    /// # Errors
    ///
    /// [`ManageError::AlreadyRuns`] if another instance of the workspace has not
    /// stopped; [`ManageError::Invalid`] if the spec contradicts itself;
    /// [`ManageError::UnderMaintenance`]; and if the record cannot be kept.
    pub async fn start(&self, mut spec: Spec) -> Result<Access, ManageError> {
        if self.shared.maintenance() == Maintenance::On {
            return Err(ManageError::UnderMaintenance);
        }
        check(&spec)?;
        let _open = self.shared.enter().await?;
        let _starting = self.shared.starting.lock().await;
        if let Some(known) = self.started_before(&spec).await? {
            return Ok(known);
        }
        spec.created_at = self.shared.clock.now();
        let settings = &self.shared.settings;
        let url = settings.url_template.of_workspace(
            spec.instance.as_str(),
            spec.workspace.as_str(),
            &settings.host_url,
        );
        let access = Access {
            url,
            owner_token: Token::random(),
        };
        let status = Status::new().with_access(access.url.clone(), access.owner_token.clone());
        let id = spec.instance.clone();
        match self.shared.adapters.records.create(spec, status).await {
            Ok(_) => self.shared.wake(&id),
            Err(RecordError::Exists(id)) => return Err(ManageError::InstanceExists(id)),
            Err(why) => return Err(why.into()),
        }
        Ok(access)
    }

    /// How to reach the instance, if it was started before. An error if it may
    /// not be started.
    async fn started_before(&self, spec: &Spec) -> Result<Option<Access>, ManageError> {
        let listing = self.shared.adapters.records.list().await?;
        for record in &listing.records {
            let same_workspace = record.spec.workspace == spec.workspace;
            if record.spec.instance == spec.instance {
                let access = Access::of(record).filter(|_| same_workspace);
                return access
                    .map(Some)
                    .ok_or_else(|| ManageError::InstanceExists(spec.instance.clone()));
            }
            if same_workspace && record.status.phase != Phase::Stopped {
                return Err(ManageError::AlreadyRuns {
                    workspace: spec.workspace.clone(),
                    instance: record.spec.instance.clone(),
                });
            }
        }
        Ok(None)
    }
}

fn check(spec: &Spec) -> Result<(), ManageError> {
    let mut seen = HashSet::new();
    for port in &spec.ports {
        if port.port == 0 {
            return Err(ManageError::Invalid("port 0 cannot be exposed".to_owned()));
        }
        if !seen.insert(port.port) {
            return Err(ManageError::Invalid(format!(
                "port {} is listed twice",
                port.port
            )));
        }
    }
    Ok(())
}
