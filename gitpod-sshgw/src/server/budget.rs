//! How much may be read from somebody who was not let in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that may still be read. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    left: Arc<AtomicUsize>,
}

impl Budget {
    pub(crate) fn of(bytes: usize) -> Self {
        Self {
            left: Arc::new(AtomicUsize::new(bytes)),
        }
    }

    pub(crate) fn unlimited() -> Self {
        Self::of(UNLIMITED)
    }

    /// No limit from now on.
    pub(crate) fn lift(&self) {
        self.left.store(UNLIMITED, Ordering::Relaxed);
    }

    /// Whether `bytes` more were within it.
    pub(crate) fn spend(&self, bytes: usize) -> bool {
        let left = self.left.load(Ordering::Relaxed);
        if left == UNLIMITED {
            return true;
        }
        // One reader only: nobody else spends meanwhile; `lift` must not be undone.
        let rest = left.saturating_sub(bytes);
        let spent = self
            .left
            .compare_exchange(left, rest, Ordering::Relaxed, Ordering::Relaxed);
        spent.is_err() || bytes <= left
    }
}

const UNLIMITED: usize = usize::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_once_and_can_be_lifted() {
        let budget = Budget::of(10);
        assert!(budget.spend(10));
        assert!(!budget.spend(1));
        budget.lift();
        assert!(budget.spend(1 << 40));
        assert!(Budget::unlimited().spend(1));
    }
}
