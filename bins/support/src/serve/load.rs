//! What requests take up, of which nobody may have all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gitpod_routing::Seat;
use http::Request;

use crate::limits::{Limit, Limits};

/// What is under way at the moment: on one connection, from one source, or in all.
#[derive(Debug, Default)]
pub(super) struct Load {
    requests: AtomicUsize,
    head_bytes: AtomicUsize,
}

impl Load {
    fn begin(&self, head: usize, bounds: &Bounds) -> Result<(), Limit> {
        if !add(&self.requests, 1, bounds.most_requests) {
            return Err(bounds.requests);
        }
        if !add(&self.head_bytes, head, bounds.most_head_bytes) {
            self.requests.fetch_sub(1, Ordering::AcqRel);
            return Err(bounds.head_bytes);
        }
        Ok(())
    }

    fn end(&self, head: usize) {
        self.requests.fetch_sub(1, Ordering::AcqRel);
        self.head_bytes.fetch_sub(head, Ordering::AcqRel);
    }
}

/// Adds `more`, unless there would be more than `most` then.
fn add(count: &AtomicUsize, more: usize, most: usize) -> bool {
    let before = count.fetch_add(more, Ordering::AcqRel);
    let fits = before.saturating_add(more) <= most;
    if !fits {
        count.fetch_sub(more, Ordering::AcqRel);
    }
    fits
}

/// How much of a [`Load`] there may be, and the limits that say so.
#[derive(Debug)]
struct Bounds {
    requests: Limit,
    most_requests: usize,
    head_bytes: Limit,
    most_head_bytes: usize,
}

impl Bounds {
    fn of(limits: &Limits, requests: Limit, head_bytes: Limit) -> Self {
        Self {
            requests,
            most_requests: limits.count(requests),
            head_bytes,
            most_head_bytes: limits.count(head_bytes),
        }
    }
}

/// The loads of all connections, by their source.
#[derive(Debug)]
pub(super) struct Loads {
    all: Load,
    of_all: Bounds,
    of_source: Bounds,
    of_connection: Bounds,
    sources: Arc<Mutex<Sources>>,
}

/// With how many connections each has.
type Sources = HashMap<IpAddr, (usize, Arc<Load>)>;

impl Loads {
    pub(super) fn new(limits: &Limits) -> Self {
        let of_connection = Bounds {
            most_requests: usize::MAX, // over HTTP/2, which counts them itself
            ..Bounds::of(limits, Limit::Streams, Limit::HeadBytesPerConnection)
        };
        Self {
            all: Load::default(),
            of_all: Bounds::of(limits, Limit::Requests, Limit::HeadBytesInAll),
            of_source: Bounds::of(limits, Limit::RequestsPerSource, Limit::HeadBytesPerSource),
            of_connection,
            sources: Arc::default(),
        }
    }

    /// What the source of a connection may have, to be kept as long as the connection.
    pub(super) fn share(&self, seat: Seat) -> Share {
        let source = seat.source();
        let load = source.map(|source| {
            let mut sources = lock(&self.sources);
            let (connections, load) = sources.entry(source).or_default();
            *connections += 1;
            Arc::clone(load)
        });
        Share {
            source,
            _seat: seat,
            load,
            sources: Arc::clone(&self.sources),
        }
    }

    /// A request whose head weighs `head` begins on a connection of `load`. To be [ended](Self::end).
    ///
    /// # Errors
    ///
    /// The limit that it would exceed.
    pub(super) fn begin(
        &self,
        load: &Load,
        share: Option<&Share>,
        head: usize,
    ) -> Result<(), Limit> {
        load.begin(head, &self.of_connection)?;
        let of_source = share.and_then(|share| share.load.as_ref());
        if let Some(source) = of_source
            && let Err(limit) = source.begin(head, &self.of_source)
        {
            load.end(head);
            return Err(limit);
        }
        self.all.begin(head, &self.of_all).inspect_err(|_limit| {
            load.end(head);
            if let Some(source) = of_source {
                source.end(head);
            }
        })
    }

    pub(super) fn end(&self, load: &Load, share: Option<&Share>, head: usize) {
        self.all.end(head);
        if let Some(source) = share.and_then(|share| share.load.as_ref()) {
            source.end(head);
        }
        load.end(head);
    }
}

/// Of one connection: its seat among those of its source, and what that source takes up.
#[derive(Debug)]
pub(super) struct Share {
    /// None where nobody counts.
    source: Option<IpAddr>,
    _seat: Seat,
    load: Option<Arc<Load>>,
    sources: Arc<Mutex<Sources>>,
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some(source) = &self.source else {
            return;
        };
        let mut sources = lock(&self.sources);
        if let Some((connections, _load)) = sources.get_mut(source) {
            *connections = connections.saturating_sub(1);
            if *connections == 0 {
                sources.remove(source);
            }
        }
    }
}

fn lock(sources: &Mutex<Sources>) -> MutexGuard<'_, Sources> {
    // Nothing in the table is half done when a thread panics.
    sources.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the head of `request` takes, as HTTP/2 counts it: RFC 9113, section 6.5.2. What was sent may have been a few
/// bytes.
pub(super) fn head_of<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let authority = uri.authority().map_or(0, |host| host.as_str().len());
    let fields = request.headers().iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + OF_A_FIELD);
    OF_A_FIELD + path + authority + fields.sum::<usize>()
}

/// What a field takes besides its bytes.
const OF_A_FIELD: usize = 32;
