//! Everything in memory: for tests, and for what need not outlive its process.

mod outbox;
mod publisher;
mod source;
mod store;

pub use self::publisher::{Heard, MemoryPublisher, Subscription};
pub use self::source::MemorySource;
pub use self::store::MemoryStore;
