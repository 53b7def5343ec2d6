//! Between authorisation and activity: has stopped workspaces started.

use std::mem;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use crate::info::RunState;
use crate::layers::{StageFuture, WaitingFuture};
use crate::refusal::{NotWoken, Refusal};
use crate::stage::{Admitted, Permit, Routed};
use crate::wake::{Patience, Wakes, decide};

/// Applies [`Wake`].
#[derive(Clone, Debug)]
pub struct WakeLayer(Option<Wakes>);

impl WakeLayer {
    /// Has workspaces started by `wakes`.
    #[must_use]
    pub fn new(wakes: Wakes) -> Self {
        Self(Some(wakes))
    }

    /// Has none started: requests to what does not run are refused at once.
    #[must_use]
    pub fn never() -> Self {
        Self(None)
    }
}

impl<S> Layer<S> for WakeLayer {
    type Service = Wake<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Wake {
            inner,
            wakes: self.0.clone(),
        }
    }
}

/// Lets requests through to workspaces that run, and has the others started first.
///
/// A request to a workspace that does not run is held until it does, and goes on as if
/// nothing had happened. Whether it may start one is said by
/// [`WorkspaceInfo::wake`](crate::WorkspaceInfo) and by how it came: browsers that look
/// ahead (`Sec-Purpose`), crawlers, preflights, pages of other origins, and what a page that
/// was left open asks for by itself start nothing.
/// Who opens a page is shown, after a second, one that says so and tries again by itself:
/// [`Refusal::NotRunning`] with 503. For a while after a start, connections to servers that
/// do not listen yet are tried again.
///
/// Bodies are not read while a request is held. What cannot wait is refused with
/// [`Refusal::NotWoken`].
#[derive(Clone, Debug)]
pub struct Wake<S> {
    inner: S,
    wakes: Option<Wakes>,
}

impl<S, B, R> Service<Routed<Admitted, B>> for Wake<S>
where
    S: Service<Routed<Permit, B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Send + 'static,
    R: Default + 'static,
    S::Error: 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = WaitingFuture<S::Future, R, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, routed: Routed<Admitted, B>) -> Self::Future {
        let (admitted, request) = routed.split();
        if admitted.info().state == RunState::Running {
            return self.pass(admitted, request);
        }
        let wakes = match self.may_wait(&admitted, &request) {
            Ok(wakes) => wakes.clone(),
            Err(why) => {
                let refused = StageFuture::refused_to(why, admitted.refused_to());
                return WaitingFuture::known(refused);
            }
        };
        let unready = self.inner.clone();
        let ready = mem::replace(&mut self.inner, unready);
        WaitingFuture::waiting(hold(wakes, ready, admitted, request))
    }
}

impl<S> Wake<S> {
    fn pass<B, R>(
        &mut self,
        admitted: Admitted,
        request: Box<Request<B>>,
    ) -> WaitingFuture<S::Future, R, S::Error>
    where
        S: Service<Routed<Permit, B>, Response = Response<R>>,
        S::Future: Send + 'static,
        R: Default,
    {
        let wakes = self.wakes.as_ref();
        let patience = wakes.and_then(|wakes| wakes.patience(&admitted.info().id));
        let is_watched = patience.is_some() && decide::is_navigation(&request);
        let permit = match permit(admitted, &request, patience) {
            Ok(permit) => permit,
            Err(why) => return WaitingFuture::known(StageFuture::refused(why)),
        };
        let answer = self.inner.call(Routed::new(permit, request));
        match is_watched {
            true => WaitingFuture::waiting(async move { answer.await.map(not_yet) }),
            false => WaitingFuture::known(StageFuture::inner(answer)),
        }
    }

    fn may_wait<B>(&self, admitted: &Admitted, request: &Request<B>) -> Result<&Wakes, Refusal> {
        let (info, service) = (admitted.info(), admitted.service());
        let wakes = self.wakes.as_ref();
        let wakes = wakes.filter(|wakes| match info.state {
            RunState::Starting => decide::may_hold(service, request),
            _ if decide::may_start(info.wake, admitted.access(), service, request) => true,
            // The page that reloads itself until the workspace runs, for one.
            _ => wakes.is_under_way(&info.id) && decide::may_hold(service, request),
        });
        let wakes = wakes.ok_or(Refusal::NotRunning(info.state))?;
        if decide::body_length(request.headers()) > wakes.limits().body {
            return Err(Refusal::NotWoken(NotWoken::BodyTooLong));
        }
        Ok(wakes)
    }
}

async fn hold<S, B, R>(
    wakes: Wakes,
    mut inner: S,
    admitted: Admitted,
    request: Box<Request<B>>,
) -> Result<Response<R>, S::Error>
where
    S: Service<Routed<Permit, B>, Response = Response<R>>,
    R: Default,
{
    let began = Instant::now();
    let is_navigation = decide::is_navigation(&request);
    let patience = match is_navigation {
        true => BEFORE_PAGE,
        false => wakes.limits().deadline,
    };
    let to = admitted.refused_to();
    let woken = match wakes.hold(admitted.info(), patience).await {
        Ok(info) => admitted.with_info(info),
        // The page tries again by itself.
        Err(NotWoken::TimedOut) if is_navigation => Err(Refusal::NotRunning(RunState::Starting)),
        Err(NotWoken::Stopped) => Err(Refusal::NotRunning(RunState::Stopped)),
        Err(NotWoken::Gone) => Err(Refusal::NoSuchWorkspace),
        Err(why) => Err(Refusal::NotWoken(why)),
    };
    let settles = began + wakes.limits().deadline;
    let settles = |admitted: &Admitted| wakes.patience_until(settles, &admitted.info().id);
    let permitted = woken.and_then(|admitted| {
        let patience = settles(&admitted);
        permit(admitted, &request, Some(patience))
    });
    match permitted {
        Ok(permit) => {
            let answer = inner.call(Routed::new(permit, request)).await;
            match is_navigation {
                true => answer.map(not_yet),
                false => answer,
            }
        }
        Err(why) => Ok(why.into_response_to(to)),
    }
}

/// Says of a closed port that it may be open soon: to people, who look at it until then.
fn not_yet<R: Default>(mut answer: Response<R>) -> Response<R> {
    match answer.extensions_mut().remove::<Refusal>() {
        Some(Refusal::NotListening(server)) => Refusal::NotListeningYet(server).into_response(),
        Some(other) => {
            answer.extensions_mut().insert(other);
            answer
        }
        None => answer,
    }
}

/// The permit for a workspace that runs, with `patience` for servers in it.
fn permit<B>(
    admitted: Admitted,
    request: &Request<B>,
    patience: Option<Patience>,
) -> Result<Permit, Refusal> {
    let permit = admitted.into_permit()?;
    let Some(patience) = patience else {
        return Ok(permit);
    };
    // Whoever sees the page of a closed port has one that tries again by itself.
    Ok(permit.with_patience(match decide::is_navigation(request) {
        true => patience.until_at_most(Instant::now() + BEFORE_PAGE),
        false => patience,
    }))
}

/// How long people look at nothing before they see a page. Chosen by us: quick starts are
/// done by then, and slow ones are told of before anyone wonders.
const BEFORE_PAGE: Duration = Duration::from_secs(1);
