//! Local processes as workspaces: started, found again, and ended without a trace.
#![cfg(feature = "process")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    dead_code
)]

mod support;

use std::time::Duration;

use gitpod_lifecycle::process::FileRecords;
use gitpod_lifecycle::process::tree::ProcessId;
use gitpod_lifecycle::process::{NetworkChoice, ProcessCluster};
use gitpod_lifecycle::{Cluster, ContentStage, NoContent, Records, StopPolicy, UpdatePhase};
use support::*;

#[tokio::test]
async fn workspace_runs_in_its_content_with_its_own_environment_and_stops() {
    let local = Local::new();
    let manager = local.manager(local.cluster(), NoContent::default()).await;
    let mut updates = manager.subscribe();
    let spec = spec(
        "i1",
        "pwd > out; echo $GITPOD_WORKSPACE_ID $CARGO_MANIFEST_DIR >> out; echo >> out",
    );
    manager.start(spec).await.unwrap();
    until(&mut updates, UpdatePhase::Running).await;
    let content = local.content();
    let said = eventually(|| {
        std::fs::read_to_string(content.join("out"))
            .ok()
            .filter(|t| t.ends_with("\n\n"))
    })
    .await;
    assert_eq!(
        said,
        format!(
            "{}\n{WORKSPACE}\n\n",
            content.canonicalize().unwrap().display()
        )
    );

    manager.stop(&id("i1"), StopPolicy::Normally).await.unwrap();
    until(&mut updates, UpdatePhase::Stopped).await;
    manager.gone(&id("i1")).await.unwrap();
    assert!(content.join("out").exists());
    eventually(|| (!local.layout().instance(&id("i1")).exists()).then_some(())).await;
}

#[tokio::test]
async fn stop_ends_what_ignores_it_and_what_has_detached_itself() {
    let local = Local::new();
    let manager = local.manager(local.cluster(), NoContent::default()).await;
    let mut updates = manager.subscribe();
    let mut wanted = spec(
        "i1",
        r#"for n in 1 2 3; do (setsid env -i sh -c 'trap "" TERM HUP; echo $$ > pid-'$n'; while :; do sleep 1; done' &) ; done"#,
    );
    wanted
        .env
        .push(gitpod_lifecycle::EnvVar::new("IGNORE_TERM", "1"));
    manager.start(wanted).await.unwrap();
    until(&mut updates, UpdatePhase::Running).await;
    let mut detached = Vec::new();
    for n in 1..=3 {
        let pid: u32 = file(&local.content().join(format!("pid-{n}")))
            .await
            .trim()
            .parse()
            .unwrap();
        detached.push(ProcessId::of(pid).unwrap());
    }
    manager
        .stop(&id("i1"), StopPolicy::Immediately)
        .await
        .unwrap();
    until(&mut updates, UpdatePhase::Stopped).await;
    assert!(detached.iter().all(|process| !process.is_alive()));
}

#[tokio::test]
async fn supervisor_that_is_killed_fails_its_workspace_and_leaves_nothing_behind() {
    let local = Local::new();
    let cluster = local.cluster();
    let manager = local.manager(cluster.clone(), NoContent::default()).await;
    let mut updates = manager.subscribe();
    manager
        .start(spec("i1", "echo $$ > pid; exec sleep 1000"))
        .await
        .unwrap();
    until(&mut updates, UpdatePhase::Running).await;
    let child: u32 = file(&local.content().join("pid"))
        .await
        .trim()
        .parse()
        .unwrap();
    let child = ProcessId::of(child).unwrap();
    let supervisor = cluster.supervisor(&id("i1")).unwrap();
    kill(supervisor.pid);
    let last = loop {
        let update = next(&mut updates).await;
        if update.phase == UpdatePhase::Stopped {
            break update;
        }
    };
    assert!(
        last.conditions.failed.contains("signal 9"),
        "{}",
        last.conditions.failed
    );
    assert!(!child.is_alive());
}

#[tokio::test]
async fn supervisor_that_cannot_start_says_why() {
    let local = Local::new();
    let mut settings = local.settings();
    settings.supervisor = vec![
        "sh".into(),
        "-c".into(),
        "echo no licence >&2; exit 3".into(),
    ];
    let cluster = ProcessCluster::new(settings);
    let manager = local.manager(cluster, NoContent::default()).await;
    let mut updates = manager.subscribe();
    manager.start(spec("i1", "")).await.unwrap();
    let last = loop {
        let update = next(&mut updates).await;
        if update.phase == UpdatePhase::Stopped {
            break update;
        }
        assert_ne!(update.phase, UpdatePhase::Running);
    };
    for part in ["exit code 3", "no licence"] {
        assert!(
            last.conditions.failed.contains(part),
            "{}",
            last.conditions.failed
        );
    }
}

#[tokio::test]
async fn later_manager_finds_what_runs_and_can_stop_it() {
    let local = Local::new();
    let first = local.cluster();
    let manager = local.manager(first.clone(), NoContent::default()).await;
    let mut updates = manager.subscribe();
    manager.start(spec("i1", "exec sleep 1000")).await.unwrap();
    until(&mut updates, UpdatePhase::Running).await;
    let supervisor = first.supervisor(&id("i1")).unwrap();
    drop((manager, updates));

    let second = local.cluster();
    let manager = local.manager(second.clone(), NoContent::default()).await;
    let mut updates = manager.subscribe();
    assert_eq!(second.supervisor(&id("i1")), Some(supervisor));
    assert_eq!(
        manager.describe(&id("i1")).await.unwrap().update.phase,
        UpdatePhase::Running
    );
    manager.stop(&id("i1"), StopPolicy::Normally).await.unwrap();
    until(&mut updates, UpdatePhase::Stopped).await;
    assert!(!supervisor.is_alive());
    assert!(second.facts(&id("i1")).await.is_ok());
}

#[tokio::test]
async fn supervisor_is_not_told_the_owner_token() {
    let local = Local::new();
    let cluster = local.cluster();
    let manager = local.manager(cluster.clone(), NoContent::default()).await;
    let mut updates = manager.subscribe();
    let access = manager.start(spec("i1", "")).await.unwrap();
    until(&mut updates, UpdatePhase::Running).await;
    let told = std::fs::read_to_string(local.layout().instance(&id("i1")).join("supervisor.json"))
        .unwrap();
    assert!(!told.contains(access.owner_token.expose()));
    assert!(
        told.contains(r#""http://{port}-pink-panda-ns35kd21.ws.localhost:8080/""#),
        "{told}"
    );
    let pid = cluster.supervisor(&id("i1")).unwrap().pid;
    for file in ["environ", "cmdline"] {
        let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(access.owner_token.expose()));
    }
    manager
        .stop(&id("i1"), StopPolicy::Immediately)
        .await
        .unwrap();
    until(&mut updates, UpdatePhase::Stopped).await;
}

fn kill(pid: u32) {
    assert!(
        std::process::Command::new("kill")
            .arg("-9")
            .arg(pid.to_string())
            .status()
            .unwrap()
            .success()
    );
}

#[tokio::test]
async fn limits_say_what_sees_to_them() {
    let local = Local::new();
    let mut limits = gitpod_lifecycle::process::Limits::default();
    limits.memory_bytes = Some(1 << 30);
    limits.open_files = Some(512);
    let settings = local.settings().with_limits(limits);
    let cluster = ProcessCluster::new(settings);
    let manager = local.manager(cluster.clone(), NoContent::default()).await;
    let mut updates = manager.subscribe();
    manager.start(spec("i1", "")).await.unwrap();
    until(&mut updates, UpdatePhase::Running).await;
    let told = cluster.limits(&id("i1")).unwrap();
    assert!(told.contains("open files"), "{told}");
    let config = local.layout().instance(&id("i1")).join("supervisor.json");
    let config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(config).unwrap()).unwrap();
    assert_eq!(config["limits"]["open_files"], 512);
    let by_process = config["limits"]["address_space_bytes"] == 1_u64 << 30;
    assert_eq!(
        by_process,
        told.contains("for each process: memory"),
        "{told}"
    );
    manager
        .stop(&id("i1"), StopPolicy::Immediately)
        .await
        .unwrap();
    until(&mut updates, UpdatePhase::Stopped).await;
}

#[tokio::test]
async fn workspace_that_must_have_its_own_network_is_not_started_without() {
    let local = Local::new();
    let settings = local.settings().with_network(NetworkChoice::Own);
    // This stand-in knows nothing of networks.
    let cluster = ProcessCluster::new(settings);
    let manager = local.manager(cluster, NoContent::default()).await;
    let mut updates = manager.subscribe();
    manager.start(spec("i1", "touch ran")).await.unwrap();
    let last = loop {
        let update = next(&mut updates).await;
        if update.phase == UpdatePhase::Stopped {
            break update;
        }
        assert_ne!(update.phase, UpdatePhase::Running);
    };
    let failed = &last.conditions.failed;
    assert!(failed.contains("cannot have its own network"), "{failed}");
    assert!(!local.content().join("ran").exists());
}

/// Breaks a file of a workspace that runs, and gives its supervisor and a detached process.
async fn broken(local: &Local, name: &str) -> [ProcessId; 2] {
    let cluster = local.cluster();
    let manager = local.manager(cluster.clone(), NoContent::default()).await;
    let mut updates = manager.subscribe();
    let run = "(setsid env -i sh -c 'echo $$ > pid; exec sleep 1000' &)";
    manager.start(spec("i1", run)).await.unwrap();
    until(&mut updates, UpdatePhase::Running).await;
    let pid = file(&local.content().join("pid")).await;
    let detached = ProcessId::of(pid.trim().parse().unwrap()).unwrap();
    let supervisor = cluster.supervisor(&id("i1")).unwrap();
    let path = local.layout().instance(&id("i1")).join(name);
    drop(manager);
    std::fs::remove_file(&path).unwrap();
    let mkfifo = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(mkfifo.unwrap().success());
    [supervisor, detached]
}

/// The same, by somebody who has ended since, with all that he watched and wrote.
fn running_with_broken(local: &Local, name: &str) -> [ProcessId; 2] {
    let former = || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(broken(local, name))
    };
    std::thread::scope(|scope| scope.spawn(former).join().unwrap())
}

#[tokio::test]
async fn what_runs_under_a_broken_record_is_ended_and_the_record_stays() {
    let local = Local::new();
    let processes = running_with_broken(&local, "record.json");
    let records = FileRecords::open(local.layout().instances()).await.unwrap();
    let listing = records.list().await.unwrap();
    assert!(listing.records.is_empty());
    let why = listing.broken.first().unwrap().to_string();
    for part in ["i1/record.json", "not an ordinary file", "remove it"] {
        assert!(why.contains(part), "{why}");
    }
    local.cluster().end_unknown(&[]).await.unwrap();
    assert!(processes.iter().all(|process| !process.is_alive()));
    let dir = local.layout().instance(&id("i1"));
    assert!(dir.join("record.json").exists());
    assert!(!dir.join("runner.json").exists());
}

#[tokio::test]
async fn what_runs_under_a_broken_runner_file_is_ended() {
    let local = Local::new();
    let processes = running_with_broken(&local, "runner.json");
    local.cluster().end_unknown(&[id("i1")]).await.unwrap();
    assert!(processes.iter().all(|process| !process.is_alive()));
}

#[tokio::test]
async fn what_is_known_goes_on() {
    let local = Local::new();
    let cluster = local.cluster();
    let manager = local.manager(cluster.clone(), NoContent::default()).await;
    let mut updates = manager.subscribe();
    manager.start(spec("i1", "exec sleep 1000")).await.unwrap();
    until(&mut updates, UpdatePhase::Running).await;
    let supervisor = cluster.supervisor(&id("i1")).unwrap();
    local.cluster().end_unknown(&[id("i1")]).await.unwrap();
    assert!(supervisor.is_alive());
    local.cluster().end_unknown(&[]).await.unwrap();
    assert!(!supervisor.is_alive());
}

/// A runtime of its own, so that nothing goes on once it is dropped: as after SIGKILL.
fn killed_while<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(work)
}

#[test]
fn start_that_was_cut_off_is_done_again() {
    let local = Local::new();
    let wanted = spec("i1", "true");
    let first = killed_while(async {
        let cluster = local.cluster();
        cluster.create(&wanted, "ws-i1").await.unwrap();
        let ready = ContentStage::Ready;
        cluster.content(&wanted, ready).await.unwrap();
        cluster.supervisor(&id("i1")).unwrap()
    });
    kill_at_once(first); // it waited for somebody who is gone
    killed_while(async {
        let cluster = local.cluster();
        let facts = cluster.facts(&id("i1")).await.unwrap();
        assert!(!facts.runners[0].has_ended(), "{facts:?}");
        cluster.content(&wanted, ContentStage::Ready).await.unwrap();
        let second = cluster.supervisor(&id("i1")).unwrap();
        assert!(second != first && second.is_alive());
        cluster.end_unknown(&[]).await.unwrap();
        assert!(!second.is_alive());
    });
}

/// Waits until it is gone.
fn kill_at_once(process: ProcessId) {
    kill(process.pid);
    while process.is_alive() {
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn what_was_started_and_not_noted_ends_before_its_instance_is_said_to_have_ended() {
    let local = Local::new();
    let dir = local.layout().instance(&id("i1"));
    killed_while_in(&dir);
    let mut started = std::process::Command::new("sleep")
        .arg("1000")
        .env("GITPOD_INSTANCE_DIR", &dir)
        .spawn()
        .unwrap();
    let process = ProcessId::of(started.id()).unwrap();
    let cluster = local.cluster();
    cluster.delete(&id("i1"), "ws-i1", None).await.unwrap();
    loop {
        let facts = cluster.facts(&id("i1")).await.unwrap();
        if facts.runners[0].has_ended() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(!process.is_alive());
    started.wait().unwrap();
}

/// What is noted of a runner whose supervisor is just being started.
fn killed_while_in(dir: &std::path::Path) {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let noted = serde_json::json!({ "name": "ws-i1", "boot": boot.trim() });
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("runner.json"), noted.to_string()).unwrap();
}

#[tokio::test]
async fn directory_that_belongs_to_no_record_is_removed_and_half_a_record_too() {
    let local = Local::new();
    let instances = local.layout().instances();
    for (instance, name) in [("i1", "supervisor.log"), ("i2", "record.new")] {
        std::fs::create_dir_all(instances.join(instance)).unwrap();
        std::fs::write(instances.join(instance).join(name), "half").unwrap();
    }
    FileRecords::open(&instances).await.unwrap();
    assert!(!instances.join("i2").exists());
    local.cluster().end_unknown(&[]).await.unwrap();
    assert!(!instances.join("i1").exists());
}
