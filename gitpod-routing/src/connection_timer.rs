//! Time limits of one connection, at the price of one timer.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Sleep, Timer};
use tokio::time::{self, Instant};

/// Timer for a hyper server of one HTTP/1.1 connection. Make one for each connection.
///
/// The server asks for a timer before each head and drops it when the head has come, and a runtime's
/// timers cost more than all else that such a wait takes. This one keeps a single timer of the runtime for
/// all of them: it stays armed when a wait ends, and is set anew when it fires. So a connection
/// wakes up once per time limit for nothing, instead of paying with each request.
///
/// ```
/// use std::time::Duration;
///
/// use gitpod_routing::ConnectionTimer;
/// use hyper::server::conn::http1;
///
/// let mut server = http1::Builder::new();
/// server
///     .timer(ConnectionTimer::new())
///     .header_read_timeout(Duration::from_secs(10));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ConnectionTimer(Arc<Mutex<Option<Pin<Box<time::Sleep>>>>>);

impl ConnectionTimer {
    /// One that is not armed yet. Armed, it needs a tokio runtime.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn poll_until(&self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        // Nothing in it is half done when a thread panics.
        let mut armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let timer = armed.get_or_insert_with(|| Box::pin(time::sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline); // it was armed for a wait that has ended
        }
    }
}

#[expect(clippy::disallowed_types, reason = "hyper's trait is made of it")]
impl Timer for ConnectionTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(self.wait_until(Instant::now() + duration))
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(self.wait_until(deadline.into()))
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into()
    }
}

impl ConnectionTimer {
    pub(crate) fn wait_until(&self, deadline: Instant) -> Wait {
        Wait {
            timer: self.clone(),
            deadline,
        }
    }
}

/// One wait. Others of the same timer that end earlier wake the same task.
#[derive(Debug)]
pub(crate) struct Wait {
    timer: ConnectionTimer,
    deadline: Instant,
}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.poll_until(self.deadline, cx)
    }
}

impl Sleep for Wait {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_wait_ends_in_its_time_whatever_came_before() {
        let timer = ConnectionTimer::new();
        let began = Instant::now();
        drop(timer.sleep(Duration::from_secs(10)));
        for seconds in [3, 5, 1] {
            let before = Instant::now();
            timer.sleep(Duration::from_secs(seconds)).await;
            assert_eq!(before.elapsed().as_secs(), seconds);
        }
        let deadline = began + Duration::from_secs(20);
        timer.sleep_until(deadline.into()).await;
        assert_eq!(began.elapsed().as_secs(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn wait_that_is_given_up_does_not_end_the_next_one_early() {
        let timer = ConnectionTimer::new();
        let mut given_up = timer.sleep(Duration::from_secs(2));
        let short = time::timeout(Duration::from_millis(1), &mut given_up);
        assert!(short.await.is_err());
        drop(given_up);
        let before = Instant::now();
        timer.sleep(Duration::from_secs(7)).await;
        assert_eq!(before.elapsed().as_secs(), 7);
    }
}
