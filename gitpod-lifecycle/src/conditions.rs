//! The conditions of one instance together.

use serde::{Deserialize, Serialize};

use crate::condition::{Condition, ConditionStatus, ConditionType};

/// The conditions of one instance: at most one of each type, in the order in
/// which they were first set.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Conditions(Vec<Condition>);

impl Conditions {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The condition of type `kind`, if it was ever set.
    #[must_use]
    pub fn find(&self, kind: &ConditionType) -> Option<&Condition> {
        self.0.iter().find(|condition| condition.kind == *kind)
    }

    /// Whether a condition of type `kind` was ever set.
    #[must_use]
    pub fn has(&self, kind: &ConditionType) -> bool {
        self.find(kind).is_some()
    }

    /// Whether `kind` is known to hold.
    #[must_use]
    pub fn is_true(&self, kind: &ConditionType) -> bool {
        self.find(kind)
            .is_some_and(|found| found.status == ConditionStatus::True)
    }

    /// Whether `kind` is known not to hold.
    #[must_use]
    pub fn is_false(&self, kind: &ConditionType) -> bool {
        self.find(kind)
            .is_some_and(|found| found.status == ConditionStatus::False)
    }

    /// Message of `kind`, if that holds.
    #[must_use]
    pub fn message_if_true(&self, kind: &ConditionType) -> Option<&str> {
        let found = self
            .find(kind)
            .filter(|found| found.status == ConditionStatus::True);
        found.map(|found| found.message.as_str())
    }

    /// Puts `condition` in the place of the one of its type, or at the end.
    ///
    /// The time of the last transition stays if the status does (the reference
    /// system always renews it; oddity Q42).
    pub fn set(&mut self, mut condition: Condition) {
        match self.0.iter_mut().find(|known| known.kind == condition.kind) {
            Some(known) => {
                if known.status == condition.status {
                    condition.last_transition_time = known.last_transition_time;
                }
                *known = condition;
            }
            None => self.0.push(condition),
        }
    }

    /// All of them, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Condition> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Conditions {
    type Item = &'a Condition;
    type IntoIter = std::slice::Iter<'a, Condition>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromIterator<Condition> for Conditions {
    fn from_iter<I: IntoIterator<Item = Condition>>(conditions: I) -> Self {
        let mut all = Self::new();
        conditions
            .into_iter()
            .for_each(|condition| all.set(condition));
        all
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn setting_again_keeps_place_and_time_of_transition() {
        let mut all = Conditions::new();
        all.set(Condition::holds(ConditionType::Deployed, at(1)));
        all.set(Condition::fails(ConditionType::Closed, at(2)));
        all.set(Condition::holds(ConditionType::Deployed, at(3)).saying("again"));
        all.set(Condition::holds(ConditionType::Closed, at(4)));
        let seen: Vec<_> = all
            .iter()
            .map(|c| (c.kind.as_str(), c.last_transition_time, c.message.as_str()))
            .collect();
        assert_eq!(seen, [("Deployed", at(1), "again"), ("Closed", at(4), "")]);
    }

    #[test]
    fn names_that_are_not_known_survive() {
        let text = r#"[{"type":"VolumeAttached","status":"True","reason":"x","message":"","lastTransitionTime":"1970-01-01T00:00:01Z"}]"#;
        let all: Conditions = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&all).unwrap(), text);
    }
}
