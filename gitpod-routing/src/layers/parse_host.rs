//! First stage: from a host to a [`HostTarget`].

use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::HOST;
use http::request::Parts;
use http::{Request, Response, Uri, Version};
use tower_layer::Layer;
use tower_service::Service;

use crate::framing;
use crate::host::{Endpoint, HostError, HostPattern, HostSource, HostTarget, Via};
use crate::layers::StageFuture;
use crate::refusal::{BadRequest, Limit, Refusal};
use crate::stage::Routed;

/// Applies [`ParseHost`].
#[derive(Clone, Debug)]
pub struct ParseHostLayer {
    pattern: Arc<HostPattern>,
    source: HostSource,
    most: HeadLimits,
}

/// The longest head that is read.
#[derive(Clone, Copy, Debug)]
struct HeadLimits {
    fields: usize,
    bytes: usize,
}

impl ParseHostLayer {
    /// Lets hosts that match `pattern` through.
    #[must_use]
    pub fn new(pattern: HostPattern) -> Self {
        Self {
            pattern: Arc::new(pattern),
            source: HostSource::new(),
            most: HeadLimits {
                fields: MAX_FIELDS,
                bytes: MAX_HEAD,
            },
        }
    }

    /// Refuses requests of more than `fields` header fields, or of more than `bytes` in target
    /// and fields, with 431; instead of 100 and 64 KiB. The server in front has limits of its
    /// own, before it has read a request as a whole.
    #[must_use]
    pub fn with_head_limits(mut self, fields: usize, bytes: usize) -> Self {
        self.most = HeadLimits { fields, bytes };
        self
    }

    /// Reads the host from `source` instead of the `Host` header alone.
    #[must_use]
    pub fn with_source(mut self, source: HostSource) -> Self {
        self.source = source;
        self
    }
}

impl<S> Layer<S> for ParseHostLayer {
    type Service = ParseHost<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ParseHost {
            inner,
            pattern: Arc::clone(&self.pattern),
            source: self.source.clone(),
            most: self.most,
        }
    }
}

/// Tells the inner service which workspace a request is for.
///
/// A host that does not match is answered here with [`Refusal::UnknownHost`],
/// `404 Not Found`, and a request whose host or length is not clear with
/// [`Refusal::BadRequest`]; the inner service is not called. So is, with [`Refusal::Misdirected`], one that came
/// over TLS under another name, if the listener tells by a [`TlsServerName`](crate::TlsServerName).
///
/// On a foreign host the first segment of the path names the workspace; it is cut off.
/// The header that is trusted to name the host is removed.
#[derive(Clone, Debug)]
pub struct ParseHost<S> {
    inner: S,
    pattern: Arc<HostPattern>,
    source: HostSource,
    most: HeadLimits,
}

impl<S> ParseHost<S> {
    fn read(&self, parts: &mut Parts) -> Result<HostTarget, Refusal> {
        self.most.check(parts)?;
        framing::check(parts).map_err(Refusal::BadRequest)?;
        if parts.version == Version::HTTP_11 && !parts.headers.contains_key(HOST) {
            return Err(Refusal::BadRequest(BadRequest::UnclearHost)); // RFC 9112, section 3.2
        }
        let (target, rest) = self.pattern.target_of(&self.source, parts)?;
        if self.source.is_misdirected(parts) {
            return Err(Refusal::Misdirected);
        }
        if target.via == Via::ForeignHost && target.endpoint == Endpoint::Ide && !target.debug {
            // An editor on an origin that any workspace can use would not be safe there.
            return Err(Refusal::UnknownHost(HostError::BadForeignPath));
        }
        if let Some(rest) = rest {
            parts.uri = with_path(&parts.uri, rest).ok_or(BAD_TARGET)?;
        }
        if let Some(name) = self.source.trusted_header() {
            parts.headers.remove(name);
        }
        Ok(target)
    }
}

impl<S, B, R> Service<Request<B>> for ParseHost<S>
where
    S: Service<Routed<HostTarget, B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = StageFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        match self.read(&mut parts) {
            Ok(target) => {
                let request = Box::new(Request::from_parts(parts, body));
                StageFuture::inner(self.inner.call(Routed::new(target, request)))
            }
            Err(why) => StageFuture::refused(why),
        }
    }
}

impl HeadLimits {
    fn check(self, parts: &Parts) -> Result<(), Refusal> {
        let fields = parts.headers.iter();
        let lengths = fields.map(|(name, value)| name.as_str().len() + value.len());
        let target = parts.uri.path().len() + parts.uri.query().map_or(0, str::len);
        match parts.headers.len() > self.fields || lengths.sum::<usize>() + target > self.bytes {
            true => Err(Refusal::OverLimit(Limit::Head)),
            false => Ok(()),
        }
    }
}

/// `uri` with `path` in the place of its own, and its query kept.
fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}").parse(),
        None => path.parse(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path_and_query.ok()?);
    Uri::from_parts(parts).ok()
}

/// What hyper takes, and far more than browsers send.
const MAX_FIELDS: usize = 100;

/// Cookies of many workspaces add up, 8 KiB are soon reached; servers in workspaces have
/// limits of their own.
const MAX_HEAD: usize = 64 * 1024;

const BAD_TARGET: Refusal = Refusal::BadRequest(BadRequest::BadTarget);
