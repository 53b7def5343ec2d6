//! What must hold once everything works again.

use std::sync::atomic::Ordering;
use std::time::Duration;

use gitpod_bridge::{Heard, InstancePhase, InstanceStore, Subscription};
use tokio::time::{Instant, sleep};

use crate::admin::{WORKSPACES, Wishes};
use crate::fate::CALM;
use crate::hosts::{Disks, IDLE};
use crate::visitor::is_answered;

/// How long everything may take to be as it should. The controller of the bridge looks for
/// lost instances every minute, and believes it the second time.
const PATIENCE: Duration = Duration::from_secs(240);

pub(crate) async fn judge(
    disks: Disks,
    wishes: Wishes,
    mut heard: Subscription,
) -> turmoil::Result {
    sleep(CALM).await;
    let until = Instant::now() + PATIENCE;
    while !wishes.all_done() {
        check(Instant::now() < until, || {
            "a start or a stop is never granted".to_owned()
        })?;
        sleep(Duration::from_secs(1)).await;
    }
    for workspace in WORKSPACES {
        answers_again(workspace, &wishes, until).await?;
    }
    for instance in wishes.stopped() {
        loop {
            let row = disks.store.instance(&instance.parse()?).await?;
            let row = row.ok_or_else(|| format!("{instance} is in no row"))?;
            if row.state.phase == InstancePhase::Stopped {
                break;
            }
            let phase = row.state.phase;
            check(Instant::now() < until, || {
                format!("{instance} was stopped, and is recorded as {phase:?}")
            })?;
            sleep(Duration::from_secs(1)).await;
        }
    }
    sleep(Duration::from_secs(10)).await; // what was recorded is told
    every_stop_was_told(&wishes, &mut heard).await?;
    nothing_is_left_open(&disks).await
}

/// The run that was left running, if nothing has ended it since.
async fn answers_again(workspace: &str, wishes: &Wishes, until: Instant) -> turmoil::Result {
    let token = wishes.token_of(workspace).unwrap_or_default();
    while let Err(why) = is_answered(workspace, &token).await {
        let last = wishes.lasting(workspace);
        check(Instant::now() < until, || {
            format!("{workspace} does not answer, although {last:?} runs: {why}")
        })?;
        sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

async fn every_stop_was_told(wishes: &Wishes, heard: &mut Subscription) -> turmoil::Result {
    let mut told = Vec::new();
    while let Ok(next) = tokio::time::timeout(Duration::from_millis(1), heard.next()).await {
        match next {
            Some(Heard::Message(message)) => {
                if let Some((instance, _)) = message.instance() {
                    told.push(instance.to_string());
                }
            }
            _ => return Err("announcements were missed".into()),
        }
    }
    for instance in wishes.stopped() {
        check(told.contains(&instance), || {
            format!("nothing was told of {instance}")
        })?;
    }
    Ok(())
}

/// Visitors have gone: once the proxy has let its idle connections go, none is left.
async fn nothing_is_left_open(disks: &Disks) -> turmoil::Result {
    sleep(IDLE * 3).await;
    let open = disks.platform.open().load(Ordering::Relaxed);
    check(open == 0, || {
        format!("{open} connections of the proxy are left")
    })
}

fn check(good: bool, what: impl FnOnce() -> String) -> turmoil::Result {
    if good { Ok(()) } else { Err(what().into()) }
}
