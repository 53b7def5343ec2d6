//! The futures of stages: of those that decide at once, and of those that may have to wait.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use pin_project::pin_project;

use crate::pages::RefusedTo;
use crate::refusal::Refusal;

/// Response future of a stage: the inner service's, or a refusal.
#[pin_project]
#[derive(Debug)]
pub struct StageFuture<F>(#[pin] State<F>);

impl<F> StageFuture<F> {
    pub(crate) fn inner(future: F) -> Self {
        Self(State::Inner(future))
    }

    pub(crate) fn refused(why: Refusal) -> Self {
        Self(State::Refused(Some((why, None))))
    }

    /// With whom it is told to, for who draws the page.
    pub(crate) fn refused_to(why: Refusal, to: RefusedTo) -> Self {
        Self(State::Refused(Some((why, Some(Box::new(to))))))
    }
}

#[pin_project(project = StateProj)]
#[derive(Debug)]
enum State<F> {
    Inner(#[pin] F),
    Refused(Option<(Refusal, Option<Box<RefusedTo>>)>),
}

impl<F, R, E> Future for StageFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Default,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().0.project() {
            StateProj::Inner(inner) => inner.poll(cx),
            StateProj::Refused(why) => match why.take() {
                Some((why, Some(to))) => Poll::Ready(Ok(why.into_response_to(*to))),
                Some((why, None)) => Poll::Ready(Ok(why.into_response())),
                None => Poll::Pending, // polled after it was done
            },
        }
    }
}

type BoxFuture<R, E> = Pin<Box<dyn Future<Output = Result<Response<R>, E>> + Send>>;

/// Response future of a stage that mostly decides at once, and sometimes has to wait first.
///
/// Only what waits is boxed.
#[pin_project]
pub struct WaitingFuture<F, R, E>(#[pin] Answer<F, R, E>);

impl<F, R, E> WaitingFuture<F, R, E> {
    pub(crate) fn known(answer: StageFuture<F>) -> Self {
        Self(Answer::Known(answer))
    }

    pub(crate) fn waiting(
        answer: impl Future<Output = Result<Response<R>, E>> + Send + 'static,
    ) -> Self {
        Self(Answer::Waiting(Box::pin(answer)))
    }
}

impl<F, R, E> fmt::Debug for WaitingFuture<F, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitingFuture").finish_non_exhaustive()
    }
}

#[pin_project(project = AnswerProj)]
enum Answer<F, R, E> {
    Known(#[pin] StageFuture<F>),
    Waiting(BoxFuture<R, E>),
}

impl<F, R, E> Future for WaitingFuture<F, R, E>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Default,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().0.project() {
            AnswerProj::Known(known) => known.poll(cx),
            AnswerProj::Waiting(answer) => answer.as_mut().poll(cx),
        }
    }
}
