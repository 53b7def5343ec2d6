//! Announcements as lines.

use async_trait::async_trait;
use gitpod_bridge::{Message, PublishError, Publisher};
use serde_json::json;
use tokio::io::{AsyncWriteExt, Stdout};
use tokio::sync::Mutex;

/// A [`Publisher`] that prints one JSON object a line on standard output:
///
/// ```text
/// {"channel":"chan:workspace-instances","payload":{"instanceID":…,"ownerID":…,"workspaceID":…},"topic":"instance/…"}
/// ```
///
/// It waits for whoever reads; when nobody does, announcements stay in the outbox.
#[derive(Debug)]
pub(crate) struct PrintedLines(Mutex<Stdout>);

impl PrintedLines {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(tokio::io::stdout()))
    }
}

#[async_trait]
impl Publisher for PrintedLines {
    async fn publish(&self, message: &Message) -> Result<(), PublishError> {
        let line = json!({
            "channel": message.channel,
            "topic": message.topic,
            "payload": message.payload,
        });
        let line = format!("{line}\n");
        let mut stdout = self.0.lock().await;
        stdout
            .write_all(line.as_bytes())
            .await
            .map_err(PublishError::new)?;
        stdout.flush().await.map_err(PublishError::new)
    }
}
