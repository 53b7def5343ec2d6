use tokio::sync::watch;

/// Something that ends with its channel: `Open` is kept where the channel is, `Closed` where it is waited for.
pub(super) fn lifetime() -> (Open, Closed) {
    let (open, closed) = watch::channel(());
    (Open(open), Closed(closed))
}

/// The channel is open as long as this lives.
#[derive(Debug)]
pub(super) struct Open(watch::Sender<()>);

impl Open {
    /// Whether nobody waits any more, as all is done.
    pub(super) fn is_over(&self) -> bool {
        self.0.is_closed()
    }
}

#[derive(Debug)]
pub(super) struct Closed(watch::Receiver<()>);

impl Closed {
    /// Ends when the channel is closed, or its connection.
    pub(super) async fn wait(&mut self) {
        while self.0.changed().await.is_ok() {}
    }
}
