//! How much may wait in memory for those who read slowly.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that may wait, of everybody together. Clones share it.
///
/// A holder may have a part of what is still free, and never all of it. So the more wait,
/// the less each may have, the sum stays below the limit, and there is always something
/// for the next. Whoever has as much as it may waits, which costs nobody else anything.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    most: usize,
    held: Arc<AtomicUsize>,
}

impl Pool {
    pub(crate) fn of(most: usize) -> Self {
        Self {
            most,
            held: Arc::default(),
        }
    }

    /// What one holder may have now, of the `wished` bytes.
    pub(crate) fn allowance(&self, wished: usize) -> usize {
        let free = self.most.saturating_sub(self.held());
        wished.min(free / PART)
    }

    /// What waits now.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// For one more holder, which has nothing yet.
    pub(crate) const fn share(self) -> Share {
        Share {
            pool: self,
            bytes: 0,
        }
    }
}

/// What one holder has of a pool, until this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    pool: Pool,
    bytes: usize,
}

impl Share {
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn set(&mut self, bytes: usize) {
        let held = &self.pool.held;
        match bytes.checked_sub(self.bytes) {
            Some(more) => held.fetch_add(more, Ordering::Relaxed),
            None => held.fetch_sub(self.bytes - bytes, Ordering::Relaxed),
        };
        self.bytes = bytes;
    }

    /// What it may have now, of the `wished` bytes.
    pub(crate) fn allowance(&self, wished: usize) -> usize {
        self.pool.allowance(wished)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// The part of what is free that one may have: a few hundred who read nothing at all leave
/// the next as much as one window.
const PART: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn however_many_take_all_they_may_the_sum_stays_and_the_next_gets_something() {
        let pool = Pool::of(256 * MIB);
        let mut holders: Vec<Share> = Vec::new();
        for _ in 0..1000 {
            let mut holder = pool.clone().share();
            holder.set(holder.allowance(8 * MIB));
            holders.push(holder);
            assert!(pool.held() < 256 * MIB);
        }
        assert!(holders.first().unwrap().bytes() > 7 * MIB);
        // All take what they are still allowed, a packet at a time, as channels do.
        for _ in 0..100 {
            for holder in &mut holders {
                if holder.bytes() < holder.allowance(8 * MIB) {
                    holder.set(holder.bytes() + 32 * 1024);
                }
            }
        }
        assert!(pool.held() < 256 * MIB, "{}", pool.held());
        drop(holders);
        assert_eq!((pool.held(), pool.allowance(MIB)), (0, MIB));
    }

    #[test]
    fn a_hundred_who_read_nothing_leave_a_window_for_the_next() {
        let pool = Pool::of(256 * MIB);
        let mut stuck: Vec<_> = (0..100).map(|_| pool.clone().share()).collect();
        let mut grows = true;
        while grows {
            grows = false;
            for holder in &mut stuck {
                if holder.bytes() < holder.allowance(8 * MIB) {
                    holder.set(holder.bytes() + 32 * 1024);
                    grows = true;
                }
            }
        }
        assert!(pool.allowance(8 * MIB) >= 3 * MIB / 2);
    }
}
