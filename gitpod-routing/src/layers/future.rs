//! The future of a stage that decides without waiting.

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
