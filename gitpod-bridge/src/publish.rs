//! What is announced, and to whom.

use async_trait::async_trait;
use gitpod_routing::{InstanceId, WorkspaceId};
use serde_json::{Value, json};

use crate::BoxError;
use crate::effect::LifeEvent;
use crate::map::time;
use crate::prebuild::{PrebuildEvent, PrebuildState};
use crate::record::InstanceRow;

/// Tells the rest of the system that something has changed.
///
/// A [`Relay`](crate::Relay) calls it once for each change, and again when it is
/// not sure that the first call arrived: receivers must bear duplicates. They
/// do if they take a message as a hint and read the row again.
///
/// # Contract
///
/// - `Ok(())`: handed over. Whether somebody listened is not known.
/// - `Err(_)`: not handed over, or not known. It is published again later.
///
/// The future may be dropped at any await point; that counts as an error.
///
/// # Source
///
/// Channels and payloads: Redis messages of the reference bridge. The channel of
/// life events is chosen by us: the reference sends them to its analytics.
#[async_trait]
pub trait Publisher: std::fmt::Debug + Send + Sync + 'static {
    /// Hands `message` over.
    ///
    /// # Errors
    ///
    /// [`PublishError`] when it was not handed over, or that is not known.
    async fn publish(&self, message: &Message) -> Result<(), PublishError>;
}

/// A message was not handed over, or that is not known.
#[derive(Debug, thiserror::Error)]
#[error("announcement not handed over")]
pub struct PublishError(#[source] BoxError);

impl PublishError {
    /// Because of `cause`.
    #[must_use]
    pub fn new(cause: impl Into<BoxError>) -> Self {
        Self(cause.into())
    }
}

/// An announcement on its way.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Message {
    /// Where it goes.
    pub channel: String,
    /// What it is about. Of several messages about one thing, one may be enough.
    pub topic: String,
    /// What it says.
    pub payload: Value,
}

impl Message {
    /// Says `payload` about `topic` on `channel`.
    #[must_use]
    pub fn new(channel: impl Into<String>, topic: impl Into<String>, payload: Value) -> Self {
        Self {
            channel: channel.into(),
            topic: topic.into(),
            payload,
        }
    }

    /// The instance and workspace that it is about, if it is about an instance.
    #[must_use]
    pub fn instance(&self) -> Option<(InstanceId, WorkspaceId)> {
        let word = |key| self.payload.get(key).and_then(Value::as_str);
        let about_instance = self.channel == CHANNEL_INSTANCES;
        let instance = word("instanceID")
            .filter(|_| about_instance)?
            .parse()
            .ok()?;
        Some((instance, word("workspaceID")?.parse().ok()?))
    }
}

/// Channel of changes of instances.
pub const CHANNEL_INSTANCES: &str = "chan:workspace-instances";
/// Channel of changes of prebuilds.
pub const CHANNEL_PREBUILDS: &str = "chan:prebuilds";
/// Channel of steps of workspaces without user.
pub const CHANNEL_HEADLESS: &str = "chan:headless";
/// Channel of moments that each instance has once.
pub const CHANNEL_EVENTS: &str = "chan:workspace-events";

/// Something to be told.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Announcement {
    /// An instance has changed.
    Instance {
        /// User id of its owner.
        owner_id: String,
        /// Its name.
        instance_id: InstanceId,
        /// The workspace that it is a run of.
        workspace_id: WorkspaceId,
    },
    /// A prebuild has changed.
    Prebuild {
        /// Project that it belongs to; may be empty.
        project_id: String,
        /// Its name.
        prebuild_id: String,
        /// Its state.
        state: PrebuildState,
        /// The workspace that it is built in.
        workspace_id: WorkspaceId,
        /// Organisation of the project, if that is known.
        organization_id: Option<String>,
    },
    /// A workspace without user has come further.
    Headless {
        /// How far.
        event: PrebuildEvent,
        /// Which workspace.
        workspace_id: WorkspaceId,
    },
}

impl Announcement {
    /// The instance of `row` has changed.
    #[must_use]
    pub fn of_instance(row: &InstanceRow) -> Self {
        Self::Instance {
            owner_id: row.owner_id.clone(),
            instance_id: row.id.clone(),
            workspace_id: row.workspace_id.clone(),
        }
    }

    /// As it goes over the wire.
    #[must_use]
    pub fn to_message(&self) -> Message {
        Message::new(self.channel(), self.topic(), self.payload())
    }

    fn channel(&self) -> &'static str {
        match self {
            Self::Instance { .. } => CHANNEL_INSTANCES,
            Self::Prebuild { .. } => CHANNEL_PREBUILDS,
            Self::Headless { .. } => CHANNEL_HEADLESS,
        }
    }

    /// Of messages about one topic the last one may do for all; each step of a
    /// headless workspace is a topic of its own.
    fn topic(&self) -> String {
        match self {
            Self::Instance { instance_id, .. } => format!("instance/{instance_id}"),
            Self::Prebuild { prebuild_id, .. } => format!("prebuild/{prebuild_id}"),
            Self::Headless {
                event,
                workspace_id,
            } => format!("headless/{workspace_id}/{}", event.as_str()),
        }
    }

    fn payload(&self) -> Value {
        match self {
            Self::Instance {
                owner_id,
                instance_id,
                workspace_id,
            } => json!({
                "ownerID": owner_id,
                "instanceID": instance_id.as_str(),
                "workspaceID": workspace_id.as_str(),
            }),
            Self::Prebuild {
                project_id,
                prebuild_id,
                state,
                workspace_id,
                organization_id,
            } => prebuild_payload(
                json!({
                    "projectID": project_id,
                    "prebuildID": prebuild_id,
                    "status": state.as_str(),
                    "workspaceID": workspace_id.as_str(),
                }),
                organization_id.as_deref(),
            ),
            Self::Headless {
                event,
                workspace_id,
            } => json!({ "type": event.as_str(), "workspaceID": workspace_id.as_str() }),
        }
    }
}

/// An organisation that is not known is left out, not `null`.
fn prebuild_payload(mut payload: Value, organization_id: Option<&str>) -> Value {
    if let (Some(members), Some(id)) = (payload.as_object_mut(), organization_id) {
        members.insert("organizationID".to_owned(), id.into());
    }
    payload
}

impl LifeEvent {
    /// As it goes over the wire. Its `messageID` is for receivers to tell repetitions by.
    #[must_use]
    pub fn to_message(&self) -> Message {
        let key = self.key();
        let payload = json!({
            "event": self.name(),
            "messageID": key,
            "ownerID": self.owner_id,
            "instanceID": self.instance_id.as_str(),
            "workspaceID": self.workspace_id.as_str(),
            "timestamp": time::text(self.timestamp),
            "stopOrigin": self.stop_origin.map(|origin| origin.as_str()),
        });
        Message::new(CHANNEL_EVENTS, format!("event/{key}"), payload)
    }
}
