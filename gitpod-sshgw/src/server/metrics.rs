//! What is counted, by names that monitoring of the reference system knows where it has them.

use metrics::{counter, gauge};

use crate::code::ErrorCode;
use crate::observer::SessionEnd;

/// A limit that was reached, by the name of its field in [`SshLimits`](crate::SshLimits).
pub(crate) fn refused(limit: &'static str) {
    counter!("gitpod_ws_proxy_ssh_refused_total", "limit" => limit).increment(1);
}

/// Somebody was let in, and her workspace reached.
pub(crate) fn succeeded() {
    let labels = [("status", "success"), ("error_type", "")];
    counter!("gitpod_ws_proxy_ssh_attempt_total", &labels).increment(1);
}

pub(crate) fn failed(why: ErrorCode) {
    let labels = [("status", "failed"), ("error_type", why.as_str())];
    counter!("gitpod_ws_proxy_ssh_attempt_total", &labels).increment(1);
}

pub(crate) fn ended(why: SessionEnd) {
    counter!("gitpod_ws_proxy_ssh_ended_total", "why" => why.as_str()).increment(1);
}

pub(crate) fn moved(up: u64, down: u64) {
    counter!("gitpod_ws_proxy_ssh_bytes_total", "direction" => "up").increment(up);
    counter!("gitpod_ws_proxy_ssh_bytes_total", "direction" => "down").increment(down);
}

/// Bytes that wait for somebody who reads slowly.
pub(crate) fn held(bytes: usize) {
    // Whole KiB, as only a u32 is surely exact in a gauge.
    let kib = u32::try_from(bytes >> 10).unwrap_or(u32::MAX);
    gauge!("gitpod_ws_proxy_ssh_held_bytes").set(f64::from(kib) * 1024.0);
}

/// Counts a connection while it lives.
#[derive(Debug)]
pub(crate) struct Connected;

impl Connected {
    pub(crate) fn new() -> Self {
        gauge!("gitpod_ws_proxy_ssh_connection_count").increment(1.0);
        Self
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        gauge!("gitpod_ws_proxy_ssh_connection_count").decrement(1.0);
    }
}
