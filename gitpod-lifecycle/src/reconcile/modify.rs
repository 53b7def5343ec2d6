//! Changing and ending an instance.

use std::time::Duration;

use gitpod_routing::{Admission, InstanceId};
use jiff::{Timestamp, TimestampRound, Unit};

use super::error::ManageError;
use super::manager::Manager;
use crate::condition::{Condition, ConditionType, reason};
use crate::duration::GoDuration;
use crate::facts::Maintenance;
use crate::records::{Record, RecordError};
use crate::settings::Rules;
use crate::spec::PortSpec;
use crate::status::Status;

/// How an instance is stopped.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum StopPolicy {
    /// It gets 30 seconds to end by itself.
    #[default]
    Normally,
    /// It gets one second.
    Immediately,
    /// It gets one second, and its content is not put away.
    Abort,
}

impl StopPolicy {
    fn grace(self) -> Duration {
        match self {
            Self::Normally => Duration::from_secs(30),
            Self::Immediately | Self::Abort => Duration::from_secs(1),
        }
    }
}

/// What somebody did with a workspace.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Activity {
    /// Used it.
    Used,
    /// Used it; not recorded if anybody ever did before.
    FirstUse,
    /// Closed its last window.
    Closed,
}

/// Which limit of one instance.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum TimeoutKind {
    /// How long nobody may use it. Setting it disables the one after closing.
    Inactivity,
    /// How long it goes on after its last window was closed. Zero disables it.
    AfterClosed,
}

impl Manager {
    /// Asks `instance` to stop, and returns at once. Asked again with less grace,
    /// the shorter one counts.
    ///
    /// # Errors
    ///
    /// [`ManageError::NotFound`], [`ManageError::UnderMaintenance`], and if the
    /// record cannot be kept.
    pub async fn stop(&self, instance: &InstanceId, policy: StopPolicy) -> Result<(), ManageError> {
        if self.shared.maintenance() == Maintenance::On {
            return Err(ManageError::UnderMaintenance);
        }
        let now = self.shared.clock.now();
        let asked = |kind| Condition::holds(kind, now).because(reason::STOP_WORKSPACE_REQUEST);
        let grace = GoDuration::from(policy.grace()).to_string();
        self.modify(instance, |record| {
            let conditions = &mut record.status.conditions;
            if policy == StopPolicy::Abort {
                conditions.set(asked(ConditionType::Aborted));
            }
            conditions.set(asked(ConditionType::StoppedByRequest).saying(&*grace));
            Ok(())
        })
        .await
    }

    /// Notes that somebody used `instance`. Cheap to call often: what happened
    /// less than 5 seconds after the last time is not recorded again.
    ///
    /// It counts all the same, and also when it cannot be recorded (but not by
    /// [`Rules::Reference`](crate::Rules::Reference)): as long as this manager lives, nobody is
    /// stopped for want of a use that it was told of.
    ///
    /// # Errors
    ///
    /// [`ManageError::NotFound`], and if the record cannot be kept.
    pub async fn mark_active(
        &self,
        instance: &InstanceId,
        activity: Activity,
    ) -> Result<(), ManageError> {
        let exactly = self.shared.clock.now();
        let now = whole_seconds(exactly);
        if activity != Activity::FirstUse {
            self.shared.record(instance).await?;
            self.shared.note_use(instance, exactly);
        }
        self.modify(instance, |record| {
            note_activity(&mut record.status, activity, now);
            Ok(())
        })
        .await
    }

    /// Gives `instance` a limit of its own.
    ///
    /// # Errors
    ///
    /// [`ManageError::Invalid`] if the limit is negative, between zero and a
    /// millisecond, or zero where that would stop it at once (the last is taken
    /// by [`Rules::Reference`](crate::Rules::Reference));
    /// [`ManageError::NotFound`]; and if the record cannot be kept.
    pub async fn set_timeout(
        &self,
        instance: &InstanceId,
        kind: TimeoutKind,
        limit: GoDuration,
    ) -> Result<(), ManageError> {
        let limit = checked(kind, limit, self.settings().rules)?;
        self.modify(instance, |record| {
            let timeouts = &mut record.spec.timeouts;
            match kind {
                TimeoutKind::Inactivity => {
                    timeouts.inactivity = Some(limit);
                    timeouts.closed = Some(Duration::ZERO);
                }
                TimeoutKind::AfterClosed => timeouts.closed = Some(limit),
            }
            Ok(())
        })
        .await
    }

    /// Exposes a port of `instance`, or changes how it is exposed. Without name
    /// and description it keeps those that it had.
    ///
    /// # Errors
    ///
    /// [`ManageError::Invalid`] for port 0, [`ManageError::NotFound`], and if the
    /// record cannot be kept.
    pub async fn expose_port(
        &self,
        instance: &InstanceId,
        port: PortSpec,
    ) -> Result<(), ManageError> {
        if port.port == 0 {
            return Err(ManageError::Invalid("port 0 cannot be exposed".to_owned()));
        }
        self.modify(instance, |record| {
            let ports = &mut record.spec.ports;
            let known = ports.iter().position(|known| known.port == port.port);
            let known = known.map(|at| ports.remove(at));
            ports.push(described_as(known, &port));
            Ok(())
        })
        .await
    }

    /// No longer exposes port `port` of `instance`. That it was not exposed is no
    /// failure.
    ///
    /// # Errors
    ///
    /// [`ManageError::NotFound`], and if the record cannot be kept.
    pub async fn hide_port(&self, instance: &InstanceId, port: u16) -> Result<(), ManageError> {
        self.modify(instance, |record| {
            record.spec.ports.retain(|known| known.port != port);
            Ok(())
        })
        .await
    }

    /// Adds what its content says about ports. Ports that are known already stay
    /// as they are, port 0 is left out.
    ///
    /// # Errors
    ///
    /// [`ManageError::NotFound`], and if the record cannot be kept.
    pub async fn declare_ports(
        &self,
        instance: &InstanceId,
        ports: &[PortSpec],
    ) -> Result<(), ManageError> {
        self.modify(instance, |record| {
            for port in ports.iter().filter(|port| port.port != 0) {
                if !record
                    .spec
                    .ports
                    .iter()
                    .any(|known| known.port == port.port)
                {
                    record.spec.ports.push(port.clone());
                }
            }
            Ok(())
        })
        .await
    }

    /// Says who may use `instance`.
    ///
    /// # Errors
    ///
    /// [`ManageError::NotFound`], and if the record cannot be kept.
    pub async fn set_admission(
        &self,
        instance: &InstanceId,
        admission: Admission,
    ) -> Result<(), ManageError> {
        self.modify(instance, |record| {
            record.spec.admission = admission;
            Ok(())
        })
        .await
    }

    /// Replaces the keys that may log in to `instance`; none is allowed too.
    ///
    /// # Errors
    ///
    /// [`ManageError::NotFound`], and if the record cannot be kept.
    pub async fn set_ssh_keys(
        &self,
        instance: &InstanceId,
        keys: Vec<String>,
    ) -> Result<(), ManageError> {
        self.modify(instance, |record| {
            record.spec.ssh_public_keys.clone_from(&keys);
            Ok(())
        })
        .await
    }

    /// Reads, changes and keeps a record; again if somebody else was faster.
    async fn modify(
        &self,
        instance: &InstanceId,
        change: impl Fn(&mut Record) -> Result<(), ManageError>,
    ) -> Result<(), ManageError> {
        let _open = self.shared.enter().await?;
        let mut wait = FIRST_WAIT;
        for _ in 0..ATTEMPTS {
            let before = self.shared.record(instance).await?;
            let mut after = before.clone();
            change(&mut after)?;
            if after == before {
                return Ok(());
            }
            match self.shared.adapters.records.replace(after).await {
                Ok(_) => {
                    self.shared.wake(instance);
                    return Ok(());
                }
                Err(RecordError::Changed(_)) => {}
                Err(why) => return Err(why.into()),
            }
            tokio::time::sleep(wait.mul_f64(rand::random_range(0.8..1.2))).await;
            wait *= 2;
        }
        Err(ManageError::Busy(instance.clone()))
    }
}

/// 10 attempts, at first 10 ms apart, doubling, give or take a fifth: manager
/// specification, section 3.1.
const ATTEMPTS: u32 = 10;
const FIRST_WAIT: Duration = Duration::from_millis(10);

/// Records keep whole seconds of activity, rounded down.
pub(super) fn whole_seconds(now: Timestamp) -> Timestamp {
    let round = TimestampRound::new()
        .smallest(Unit::Second)
        .mode(jiff::RoundMode::Floor);
    now.round(round).unwrap_or(now)
}

fn note_activity(status: &mut Status, activity: Activity, now: Timestamp) {
    let known = |kind| status.conditions.has(&kind);
    let used_before = known(ConditionType::FirstUserActivity);
    let closed = activity == Activity::Closed;
    let changes = closed != status.conditions.is_true(&ConditionType::Closed);
    let recent = status.last_activity.is_some_and(|last| {
        (0..SAME_ACTIVITY_SECONDS).contains(&now.duration_since(last).as_secs())
    });
    let nothing_new = activity == Activity::FirstUse || (recent && !changes);
    if used_before && nothing_new {
        return;
    }
    status.last_activity = Some(now);
    let because = |condition: Condition| condition.because(reason::MARK_ACTIVE_REQUEST);
    if changes {
        let make = if closed {
            Condition::holds
        } else {
            Condition::fails
        };
        status
            .conditions
            .set(because(make(ConditionType::Closed, now)));
    }
    if !used_before {
        status.conditions.set(because(Condition::holds(
            ConditionType::FirstUserActivity,
            now,
        )));
    }
}

/// Far below any limit on inactivity that makes sense, and far above the time
/// between two requests of a page.
const SAME_ACTIVITY_SECONDS: i64 = 5;

/// `port`, with what was known of it where it says nothing itself.
fn described_as(known: Option<PortSpec>, port: &PortSpec) -> PortSpec {
    let mut port = port.clone();
    if let Some(known) = known.filter(|_| port.name.is_empty() && port.description.is_empty()) {
        (port.name, port.description) = (known.name, known.description);
    }
    port
}

fn checked(kind: TimeoutKind, limit: GoDuration, rules: Rules) -> Result<Duration, ManageError> {
    let invalid = |why: &str| ManageError::Invalid(format!("timeout {limit} {why}"));
    let length = limit.to_std().ok_or_else(|| invalid("is negative"))?;
    match kind {
        TimeoutKind::Inactivity if length.is_zero() && rules == Rules::Improved => {
            Err(invalid("would stop the workspace at once"))
        }
        _ if !length.is_zero() && length < Duration::from_millis(1) => Err(invalid("is below 1ms")),
        _ => Ok(length),
    }
}
