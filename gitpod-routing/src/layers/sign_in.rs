//! Between the second and the third stage: people who come by a link.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use http::header::{ALLOW, CACHE_CONTROL, LOCATION, REFERRER_POLICY, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

use crate::access::{CookieNames, Presented, Source};
use crate::host::Via;
#[cfg(feature = "wake")]
use crate::info::RunState;
use crate::info::WorkspaceInfo;
use crate::layers::{Located, StageFuture, WaitingFuture};
use crate::links::{Handover, LinkError, Links, OPEN_PATH, SHARE_PATH, share_cookies};
use crate::pages::RefusedTo;
use crate::refusal::{LinkRefused, Refusal};
use crate::service;
use crate::stage::Routed;
#[cfg(feature = "wake")]
use crate::wake::Wakes;

/// Applies [`SignIn`].
#[derive(Clone, Debug)]
pub struct SignInLayer(Option<Arc<Way>>);

/// What signing in needs.
#[derive(Clone, Debug)]
struct Way {
    links: Option<Links>,
    cookies: CookieNames,
    #[cfg(feature = "wake")]
    wakes: Option<Wakes>,
}

impl SignInLayer {
    /// Lets people in who come by one of `links`, with cookies that `cookies` names: those
    /// of the [`AccessPolicy`](crate::AccessPolicy) behind it.
    #[must_use]
    pub fn new(links: Links, cookies: CookieNames) -> Self {
        Self(Some(Arc::new(Way {
            links: Some(links),
            ..Way::without_links(cookies)
        })))
    }

    /// Also knows the owner of the run before one that was started by `wakes`, and hands the
    /// cookie of the new run over. `cookies` are those of the policy, as above.
    #[cfg(feature = "wake")]
    #[must_use]
    pub fn with_wakes(self, wakes: Wakes, cookies: CookieNames) -> Self {
        let way = self.0.map(|way| Way::clone(&way));
        Self(Some(Arc::new(Way {
            wakes: Some(wakes),
            ..way.unwrap_or_else(|| Way::without_links(cookies))
        })))
    }

    /// Lets nobody in: all requests pass as they are.
    #[must_use]
    pub fn without_links() -> Self {
        Self(None)
    }
}

impl<S> Layer<S> for SignInLayer {
    type Service = SignIn<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SignIn {
            inner,
            way: self.0.clone(),
        }
    }
}

/// Answers the links that [`Links`] makes, and knows visitors by their cookie.
///
/// | request | answer |
/// | --- | --- |
/// | `GET /.gitpod/open?…` | 303 to the path of the link, with the owner cookie; once |
/// | `GET /.gitpod/share?…` | 303 to `/`, with a share cookie |
/// | the same, by `HEAD` or ahead of time (`Sec-Purpose`) | 204; the link stays good |
/// | the same, by another method, or not to show a page | 405, 403 |
/// | a link that is not good | 403 with [`Refusal::Link`] |
/// | anything else | goes on; who shows the cookie of a share that stands, as its visitor |
///
/// No answer is stored or tells the next page where it came from. Whether a visitor may
/// have what she asks for is up to [`Authorize`](crate::layers::Authorize).
#[derive(Clone, Debug)]
pub struct SignIn<S> {
    inner: S,
    way: Option<Arc<Way>>,
}

impl<S, B, R> Service<Routed<Located, B>> for SignIn<S>
where
    S: Service<Routed<Located, B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
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

    fn call(&mut self, routed: Routed<Located, B>) -> Self::Future {
        let Some(way) = &self.way else {
            return WaitingFuture::known(StageFuture::inner(self.inner.call(routed)));
        };
        let link = way.links.as_ref().and_then(|_| Link::of(&routed));
        if link.is_none() && !way.knows_somebody(&routed) {
            return WaitingFuture::known(StageFuture::inner(self.inner.call(routed)));
        }
        let way = Arc::clone(way);
        let unready = self.inner.clone();
        let ready = mem::replace(&mut self.inner, unready);
        match link {
            Some(link) => {
                let (located, request) = routed.split();
                let routed = Routed::new(located, Box::new(request.map(drop)));
                WaitingFuture::waiting(async move {
                    let answer = way.answer(link, &routed).await;
                    let to = RefusedTo::nobody(&routed.stage().target);
                    Ok(answer.unwrap_or_else(|why| why.into_response_to(to)))
                })
            }
            None => WaitingFuture::waiting(way.go_on(ready, routed)),
        }
    }
}

/// Which kind of link a request follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Link {
    Open,
    Share,
}

impl Link {
    fn of<B>(routed: &Routed<Located, B>) -> Option<Self> {
        let own_host = routed.stage().target.via == Via::OwnHost;
        match routed.request().uri().path() {
            OPEN_PATH if own_host => Some(Self::Open),
            SHARE_PATH if own_host => Some(Self::Share),
            _ => None,
        }
    }
}

impl Way {
    fn without_links(cookies: CookieNames) -> Self {
        Self {
            links: None,
            cookies,
            #[cfg(feature = "wake")]
            wakes: None,
        }
    }

    fn knows_somebody<B>(&self, routed: &Routed<Located, B>) -> bool {
        let workspace = &routed.stage().target.workspace;
        let headers = routed.request().headers();
        let is_visitor = || !share_cookies(headers, &self.cookies, workspace).is_empty();
        self.returning_owner(routed.stage(), headers).is_some()
            || self.is_owner_who_waits(routed.stage(), headers)
            || (self.links.is_some() && is_visitor())
    }

    /// Where the owner of a run before this one shows its token, if that is who comes.
    fn returning_owner(&self, located: &Located, headers: &HeaderMap) -> Option<Source> {
        let shown = self.former_owner(located, headers)?;
        (!self.is_owner(located, headers)).then_some(shown)
    }

    /// Where the token of a run is shown that counts beside that of this one.
    fn former_owner(&self, located: &Located, headers: &HeaderMap) -> Option<Source> {
        let owners = &located.info.former_owners;
        if owners.is_empty() {
            return self.owner_before_wake(located, headers);
        }
        let now = SystemTime::now();
        let mut owners = owners.iter().filter(|owner| owner.holds_at(now));
        let shown = owners.find_map(|owner| {
            let presented = Presented::find(headers, &self.cookies, &owner.instance);
            presented.matches(&owner.token).ok()?;
            Some(presented.source())
        });
        shown.or_else(|| self.owner_before_wake(located, headers))
    }

    #[cfg(feature = "wake")]
    fn owner_before_wake(&self, located: &Located, headers: &HeaderMap) -> Option<Source> {
        let former = self.wakes.as_ref()?.former(&located.info)?;
        let presented = Presented::find(headers, &self.cookies, &former.instance);
        presented.matches(&former.token).ok()?;
        Some(presented.source())
    }

    #[cfg(not(feature = "wake"))]
    #[expect(clippy::unused_self, reason = "nothing was started here")]
    fn owner_before_wake(&self, _: &Located, _: &HeaderMap) -> Option<Source> {
        None
    }

    /// Whether the owner comes with the cookie of a run that is over, and another one may be
    /// started for her.
    #[cfg(feature = "wake")]
    fn is_owner_who_waits(&self, located: &Located, headers: &HeaderMap) -> bool {
        let (info, wakes) = (&located.info, self.wakes.is_some());
        if !wakes || info.state == RunState::Running || info.owner_token.expose().is_empty() {
            return false;
        }
        let presented = Presented::find(headers, &self.cookies, &info.instance);
        presented.source() == Source::Cookie && presented.matches(&info.owner_token).is_ok()
    }

    #[cfg(not(feature = "wake"))]
    #[expect(clippy::unused_self, reason = "nothing is started here")]
    fn is_owner_who_waits(&self, _: &Located, _: &HeaderMap) -> bool {
        false
    }

    /// The owner cookie of the run that was started in the place of `ended`.
    #[cfg(feature = "wake")]
    fn cookie_after(&self, ended: &WorkspaceInfo) -> Option<HeaderValue> {
        let next = self.wakes.as_ref()?.after(ended)?;
        self.handover()?.owner(&next)
    }

    #[cfg(not(feature = "wake"))]
    #[expect(clippy::unused_self, reason = "nothing was started here")]
    fn cookie_after(&self, _: &WorkspaceInfo) -> Option<HeaderValue> {
        None
    }

    /// Passes a request on, as that of a visitor if it is one.
    async fn go_on<S, B, R>(
        self: Arc<Self>,
        mut inner: S,
        routed: Routed<Located, B>,
    ) -> Result<Response<R>, S::Error>
    where
        S: Service<Routed<Located, B>, Response = Response<R>>,
        R: Default,
    {
        let (mut located, request) = routed.split();
        let headers = request.headers();
        if let Some(source) = self.returning_owner(&located, headers) {
            located.is_returning_owner = true;
            let info = Arc::clone(&located.info);
            let mut answer = inner.call(Routed::new(located, request)).await?;
            let cookie = self.new_cookie(&info, source);
            add_cookie(answer.headers_mut(), cookie);
            return Ok(answer);
        }
        if self.is_owner_who_waits(&located, headers) {
            let ended = Arc::clone(&located.info);
            let mut answer = inner.call(Routed::new(located, request)).await?;
            add_cookie(answer.headers_mut(), self.cookie_after(&ended));
            return Ok(answer);
        }
        self.see_visitor(&mut located, headers).await;
        inner.call(Routed::new(located, request)).await
    }

    /// The owner cookie of the run of `info`, or of the one that was started in its place, for
    /// who came with that of one before.
    fn new_cookie(&self, info: &WorkspaceInfo, shown_in: Source) -> Option<HeaderValue> {
        let has_token = !info.owner_token.expose().is_empty();
        if !has_token || shown_in != Source::Cookie {
            return None;
        }
        let after = self.cookie_after(info);
        after.or_else(|| self.handover()?.owner(info))
    }

    /// Notes the share that one of the cookies in `headers` proves.
    async fn see_visitor(&self, located: &mut Located, headers: &HeaderMap) {
        let Some(links) = &self.links else {
            return;
        };
        let tokens: Vec<Vec<u8>> = share_cookies(headers, &self.cookies, &located.target.workspace)
            .into_iter()
            .map(<[u8]>::to_vec)
            .collect();
        for token in tokens {
            let now = SystemTime::now();
            match links.visited(&token, &located.target, now).await {
                Ok(share) => {
                    located.visitor = Some(Arc::new(share));
                    break;
                }
                Err(LinkError::Store(why)) => {
                    tracing::warn!(error = %why, "shares cannot be checked");
                    located.unchecked_visitor = true;
                }
                Err(_) => {} // of another share, or over
            }
        }
    }

    async fn answer<R: Default>(
        &self,
        link: Link,
        routed: &Routed<Located, ()>,
    ) -> Result<Response<R>, Refusal> {
        let request = routed.request();
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut answer = bare(StatusCode::METHOD_NOT_ALLOWED);
            let allowed = HeaderValue::from_static("GET, HEAD");
            answer.headers_mut().insert(ALLOW, allowed);
            return Ok(answer);
        }
        let headers = request.headers();
        if request.method() == Method::HEAD || service::is_ahead_of_time(headers) {
            return Ok(bare(StatusCode::NO_CONTENT));
        }
        if service::is_upgrade(request) || !service::may_be_navigation(headers) {
            return Err(Refusal::Link(LinkRefused::NotNavigated));
        }
        let token = request.uri().query().unwrap_or_default().as_bytes();
        let now = SystemTime::now();
        let handed = match link {
            Link::Open => self.open(token, routed.stage(), headers, now).await,
            Link::Share => self.share(token, routed.stage(), now).await,
        };
        let (path, cookie) = handed?;
        let mut answer = bare(StatusCode::SEE_OTHER);
        answer.headers_mut().insert(LOCATION, path);
        answer
            .headers_mut()
            .extend(cookie.map(|line| (SET_COOKIE, line)));
        Ok(answer)
    }

    async fn open(
        &self,
        token: &[u8],
        located: &Located,
        headers: &HeaderMap,
        now: SystemTime,
    ) -> Result<(HeaderValue, Option<HeaderValue>), Refusal> {
        let info = &located.info;
        if info.owner_token.expose().is_empty() {
            return Err(Refusal::NotRunning(info.state)); // and the link stays good
        }
        let links = self.links()?;
        let path = match links.use_open(token, &located.target, now).await {
            Ok(path) => path,
            // Who goes back in history, or clicks twice, is the owner already.
            Err(LinkError::Used | LinkError::Expired) if self.is_owner(located, headers) => {
                return Ok((HeaderValue::from_static("/"), None));
            }
            Err(why) => return Err(refused(&why)),
        };
        let cookie = self.handover().and_then(|handover| handover.owner(info));
        Ok((location(path.as_str()), cookie))
    }

    async fn share(
        &self,
        token: &[u8],
        located: &Located,
        now: SystemTime,
    ) -> Result<(HeaderValue, Option<HeaderValue>), Refusal> {
        let visit = self.links()?.visit(token, &located.target, now).await;
        let (share, token) = visit.map_err(|why| refused(&why))?;
        let handover = self.handover();
        let cookie = handover.and_then(|handover| handover.visit(&share, &token, now));
        Ok((location("/"), cookie))
    }

    fn is_owner(&self, located: &Located, headers: &HeaderMap) -> bool {
        let presented = Presented::find(headers, &self.cookies, &located.info.instance);
        presented.matches(&located.info.owner_token).is_ok()
    }

    fn links(&self) -> Result<&Links, Refusal> {
        let links = self.links.as_ref();
        links.ok_or(Refusal::Link(LinkRefused::Invalid))
    }

    fn handover(&self) -> Option<Handover<'_>> {
        let urls = self.links.as_ref()?.urls();
        let names = &self.cookies;
        Some(Handover { names, urls })
    }
}

/// Adds `cookie` to an answer that no cache may give to somebody else.
fn add_cookie(headers: &mut HeaderMap, cookie: Option<HeaderValue>) {
    let mut rules = headers.get_all(CACHE_CONTROL).iter();
    let is_shared = rules.any(|rule| {
        let rule = rule.as_bytes().to_ascii_lowercase();
        [&b"public"[..], b"s-maxage"]
            .iter()
            .any(|word| memchr::memmem::find(&rule, word).is_some())
    });
    if let Some(cookie) = cookie.filter(|_| !is_shared) {
        headers.append(SET_COOKIE, cookie);
    }
}

fn refused(why: &LinkError) -> Refusal {
    tracing::debug!(error = %why, "link refused");
    Refusal::Link(match why {
        LinkError::Expired => LinkRefused::Expired,
        LinkError::Used => LinkRefused::Used,
        LinkError::Revoked => LinkRefused::Revoked,
        LinkError::Store(_) => LinkRefused::NotChecked,
        _ => LinkRefused::Invalid,
    })
}

/// Nothing is kept of it, and nobody behind it learns where it came from.
fn bare<R: Default>(status: StatusCode) -> Response<R> {
    let mut response = Response::new(R::default());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// A path of one's own as a `Location`: it is visible ASCII.
fn location(path: &str) -> HeaderValue {
    HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"))
}
