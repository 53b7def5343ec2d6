//! Answers that their clients do not take.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use pin_project::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::limits::{Limit, refused};

/// How far an answer is on its way to its client.
#[derive(Debug, Default)]
pub(super) struct Handed {
    /// Whether there is something of it that the client could take.
    waits: AtomicBool,
    frames: AtomicUsize,
    ending: Ending,
}

/// What may end an answer from beside, if its client does not ask for more of it.
#[derive(Default)]
pub(super) struct Ending(Mutex<Option<Over>>);

type Over = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Ending {
    /// It ends when `over` completes.
    pub(super) fn set(&self, over: Option<Over>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = over;
    }

    /// Completes when it has to end. To be polled after whatever sets it.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut over = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match over.as_mut() {
            Some(over) => over.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

impl fmt::Debug for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ending").finish_non_exhaustive()
    }
}

impl Handed {
    pub(super) fn ending(&self) -> &Ending {
        &self.ending
    }

    /// The client could have something: the head, or one more frame.
    pub(super) fn over(&self) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.waits.store(true, Ordering::Relaxed);
    }

    /// Whoever answers has nothing more at the moment.
    pub(super) fn nothing(&self) {
        self.waits.store(false, Ordering::Relaxed);
    }
}

/// Runs the streams of one connection, and ends each whose client takes nothing of it for too long.
///
/// HTTP/2 has one socket for all of them, on which there is always something to write; and a body is not asked for
/// more while there is no room for it, so that nobody else would notice.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    /// Of the stream that is run next.
    next: Arc<Mutex<Option<Arc<Handed>>>>,
    longest: Duration,
}

impl Streams {
    pub(super) fn new(longest: Duration) -> Self {
        Self {
            next: Arc::default(),
            longest,
        }
    }

    /// Of a request that was just taken. Its stream is run as soon as the service was called.
    pub(super) fn begin(&self) -> Arc<Handed> {
        let handed = Arc::new(Handed::default());
        *self.lock() = Some(Arc::clone(&handed));
        handed
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Handed>>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let next = self.lock().take();
        match next {
            Some(handed) => tokio::spawn(Patient {
                stream,
                handed,
                longest: self.longest,
                frames: 0,
                since: None,
                timer: None,
            }),
            None => tokio::spawn(stream),
        };
    }
}

/// A stream. That it ends without having sent all is told its client with RST_STREAM.
#[pin_project]
struct Patient<F> {
    #[pin]
    stream: F,
    handed: Arc<Handed>,
    longest: Duration,
    /// Handed over when the client was last seen to take something.
    frames: usize,
    /// From when it takes nothing.
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<F: Future<Output = ()>> Future for Patient<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.stream.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if this.handed.ending.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !this.handed.waits.load(Ordering::Relaxed) {
            *this.since = None; // the timer may go on: it is looked at when it is over
            return Poll::Pending;
        }
        let frames = this.handed.frames.load(Ordering::Relaxed);
        if this.since.is_none() || frames != *this.frames {
            *this.since = Some(Instant::now());
            *this.frames = frames;
        }
        let until = this.since.map(|since| since + *this.longest);
        let Some(until) = until else {
            return Poll::Pending;
        };
        let timer = this
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(until)));
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= until {
                refused(Limit::SendIdle);
                return Poll::Ready(());
            }
            timer.as_mut().reset(until);
        }
        Poll::Pending
    }
}
