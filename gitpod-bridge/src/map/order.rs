//! Which of two statuses of one instance is newer.

/// Where a status comes from: the cluster that reports it, and its incarnation.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Origin {
    /// Name of the cluster, as in [`InstanceRow::region`](crate::InstanceRow::region).
    pub cluster: String,
    /// Incarnation of the cluster. Raise it when its versions start over, as
    /// after its store was restored from a backup.
    pub epoch: i64,
}

impl Origin {
    /// The first incarnation of `cluster`.
    #[must_use]
    pub fn new(cluster: impl Into<String>) -> Self {
        Self {
            cluster: cluster.into(),
            epoch: 1,
        }
    }

    /// Incarnation `epoch` of it.
    #[must_use]
    pub fn with_epoch(mut self, epoch: i64) -> Self {
        self.epoch = epoch;
        self
    }
}

/// Place of a status in the history of its instance: epoch first, then version.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub struct StatusOrder {
    /// Incarnation of the cluster.
    pub epoch: i64,
    /// Version within it; 0 if that is not known.
    pub version: i64,
}

impl StatusOrder {
    /// Version `version` of incarnation `epoch`.
    #[must_use]
    pub fn new(epoch: i64, version: i64) -> Self {
        Self { epoch, version }
    }

    /// How a status at this place relates to a row that has taken `stored`.
    ///
    /// A row that has taken nothing with a version in this epoch takes anything.
    #[must_use]
    pub fn against(self, stored: Self) -> Freshness {
        if self.epoch == stored.epoch && stored.version == 0 {
            return Freshness::Newer;
        }
        match self.cmp(&stored) {
            std::cmp::Ordering::Less => Freshness::Stale,
            std::cmp::Ordering::Equal => Freshness::Duplicate,
            std::cmp::Ordering::Greater => Freshness::Newer,
        }
    }
}

/// How a status relates to the one that a row has taken last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Freshness {
    /// It is newer.
    Newer,
    /// It is the same.
    Duplicate,
    /// It is older.
    Stale,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epoch_counts_before_version() {
        let cases = [
            ((1, 900), (2, 3), Freshness::Newer), // versions start over
            ((2, 3), (1, 900), Freshness::Stale),
            ((1, 9), (1, 9), Freshness::Duplicate),
            ((1, 9), (1, 8), Freshness::Stale),
            ((1, 9), (1, 0), Freshness::Stale), // a version was known before
            ((1, 0), (1, 0), Freshness::Newer),
            ((1, 0), (1, 5), Freshness::Newer),
            ((2, 0), (1, 5), Freshness::Stale),
            ((1, 5), (2, 0), Freshness::Newer),
        ];
        for (stored, incoming, expected) in cases {
            let stored = StatusOrder::new(stored.0, stored.1);
            let got = StatusOrder::new(incoming.0, incoming.1).against(stored);
            assert_eq!(got, expected, "{incoming:?} against {stored:?}");
        }
    }
}
