//! Announcements within one process.

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::publish::{Message, PublishError, Publisher};

/// Hands announcements to whoever listens in this process.
///
/// Nobody waits for a listener: one that falls behind by more than the capacity
/// is told how many messages it has missed, and reads what it shows again.
///
/// ```
/// use gitpod_bridge::{Heard, MemoryPublisher, Message, Publisher};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let publisher = MemoryPublisher::default();
/// let mut listener = publisher.subscribe();
/// let hello = Message::new("chan:greetings", "greeting/1", "hello".into());
/// publisher.publish(&hello).await?;
/// assert_eq!(listener.next().await, Some(Heard::Message(hello)));
/// # Ok::<(), gitpod_bridge::PublishError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemoryPublisher {
    listeners: broadcast::Sender<Message>,
}

impl MemoryPublisher {
    /// Keeps at most `capacity` messages for each listener.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let (listeners, _) = broadcast::channel(capacity.max(1));
        Self { listeners }
    }

    /// Hears everything that is published from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        Subscription {
            messages: self.listeners.subscribe(),
        }
    }
}

/// 1024 messages: some hundred kilobytes, and more than a busy second brings.
impl Default for MemoryPublisher {
    fn default() -> Self {
        Self::new(1024)
    }
}

#[async_trait]
impl Publisher for MemoryPublisher {
    async fn publish(&self, message: &Message) -> Result<(), PublishError> {
        // Fails if nobody listens, which is nobody's fault.
        drop(self.listeners.send(message.clone()));
        Ok(())
    }
}

/// A listener to a [`MemoryPublisher`].
#[derive(Debug)]
pub struct Subscription {
    messages: broadcast::Receiver<Message>,
}

impl Subscription {
    /// The next message; `None` once the publisher is gone. Dropping the future
    /// loses nothing.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.messages.recv().await {
            Ok(message) => Some(Heard::Message(message)),
            Err(broadcast::error::RecvError::Lagged(count)) => Some(Heard::Missed(count)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// What a listener hears.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Heard {
    /// A message.
    Message(Message),
    /// So many messages were lost, because it was too slow. Read everything again.
    Missed(u64),
}
