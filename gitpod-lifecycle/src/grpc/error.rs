//! Why a call fails: code and text.

use tonic::Status;
use tracing::warn;

use crate::reconcile::ManageError;

/// A field of a request that cannot be honoured.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {why}")]
pub(super) struct Invalid {
    field: &'static str,
    why: String,
}

impl Invalid {
    pub(super) fn new(field: &'static str, why: impl Into<String>) -> Self {
        Self {
            field,
            why: why.into(),
        }
    }

    /// `field` is missing.
    pub(super) fn missing(field: &'static str) -> Self {
        Self::new(field, "is required")
    }
}

impl From<Invalid> for Status {
    fn from(why: Invalid) -> Self {
        Self::invalid_argument(why.to_string())
    }
}

/// Code and text of each situation.
///
/// What the client cannot change is logged with its causes; the client sees the
/// uppermost text. Where the reference system says UNKNOWN or INTERNAL although
/// the same call may work later, this says UNAVAILABLE (Q32).
impl From<ManageError> for Status {
    fn from(why: ManageError) -> Self {
        let text = why.to_string();
        match why {
            ManageError::NotFound(_) => Self::not_found(text),
            ManageError::AlreadyRuns { .. } | ManageError::InstanceExists(_) => {
                Self::already_exists(text)
            }
            ManageError::Invalid(_) => Self::invalid_argument(text),
            ManageError::UnderMaintenance => Self::failed_precondition(text),
            ManageError::Busy(_)
            | ManageError::Closed
            | ManageError::Records(_)
            | ManageError::Cluster(_)
            | ManageError::Content(_) => {
                warn!(why = &why as &dyn std::error::Error, "call failed");
                match why.is_transient() {
                    true => Self::unavailable(text),
                    false => Self::internal(text),
                }
            }
        }
    }
}

/// There is no instance `id`.
pub(super) fn unknown(id: &str) -> Status {
    Status::not_found(format!("there is no instance {id}"))
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::cluster::ClusterError;
    use crate::content::ContentError;

    #[test]
    fn each_situation_has_its_code_and_keeps_causes_to_itself() {
        let id = || "i1".parse().unwrap();
        let cases = [
            (ManageError::NotFound(id()), Code::NotFound),
            (ManageError::InstanceExists(id()), Code::AlreadyExists),
            (
                ManageError::AlreadyRuns {
                    workspace: "w1".into(),
                    instance: id(),
                },
                Code::AlreadyExists,
            ),
            (ManageError::Invalid("x".to_owned()), Code::InvalidArgument),
            (ManageError::UnderMaintenance, Code::FailedPrecondition),
            (ManageError::Busy(id()), Code::Unavailable),
            (
                ClusterError::unavailable("look", "/secret/path").into(),
                Code::Unavailable,
            ),
            (ClusterError::refused("create", "no").into(), Code::Internal),
            (
                ContentError::because("cannot remove files", "/secret/path").into(),
                Code::Internal,
            ),
        ];
        for (why, code) in cases {
            let text = format!("{why:?}");
            let status = Status::from(why);
            assert_eq!(status.code(), code, "{text}");
            assert!(!status.message().contains("/secret"), "{status:?}");
        }
    }
}
