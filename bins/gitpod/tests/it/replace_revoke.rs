//! What the one before has kept after `gitpod up --replace` ends as soon as it is no longer allowed.

use std::io::{BufRead, BufReader, Write};
use std::time::{Duration, Instant};

use crate::harness::{Up, Workspace, gitpod, wait_until};
use crate::revoke::{Open, done, start, visitor};
use crate::ssh_harness::{Background, Login};

/// A second, as promised, and time for a busy machine to start the command that takes the right back.
const AT_ONCE: Duration = Duration::from_secs(4);

/// A session over SSH that has said something.
fn session(login: &Login, workspace: &Workspace) -> Background {
    let user = format!("User={}", workspace.id());
    let mut session = login.background(&["-o", &user, "ws", "cat"]);
    writeln!(session.0.stdin.as_mut().unwrap(), "here").unwrap();
    let mut line = String::new();
    let out = session.0.stdout.as_mut().unwrap();
    BufReader::new(out).read_line(&mut line).unwrap();
    assert_eq!(line, "here\n");
    session
}

fn ends_at_once(session: &mut Background, what: &str, cause: impl FnOnce()) {
    assert!(session.0.try_wait().unwrap().is_none(), "before {what}");
    let begin = Instant::now();
    cause();
    wait_until(what, || session.0.try_wait().unwrap().is_some());
    assert!(begin.elapsed() < AT_ONCE, "{what}: {:?}", begin.elapsed());
}

#[test]
fn attack_35_what_the_one_before_has_kept_ends_at_once_when_it_is_taken_back() {
    let drain = ["--drain", "120s"];
    let Some(mut login) = Login::with(&drain, &[]) else {
        return;
    };
    let up = &login.up;
    let (workspace, port) = start(up);
    let (other, other_port) = start(up);
    let id = workspace.id();
    let share = |up: &Up| up.json(&["share", id, "--port", &port.to_string(), "-o", "json"]);
    let shares = [share(up), share(up)];
    let guest = Open::new(up, &workspace, port, "");
    let visitors = shares.each_ref().map(|share| {
        let field = visitor(up, &workspace, port, share);
        Open::new(up, &workspace, port, &field)
    });
    let owner = format!("x-gitpod-owner-token: {}\r\n", workspace.token());
    let owner = Open::new(up, &workspace, port, &owner);
    let others = Open::new(up, &other, other_port, "");
    let mut of_key = session(&login, &workspace);

    let mut gitpod = gitpod();
    gitpod.env("HOME", login.home.path());
    let before = login.up.replaced_by(&mut gitpod, &drain);
    let up = &login.up;
    for open in [&guest, &visitors[0], &visitors[1], &owner, &others] {
        open.go_on();
    }
    // A port is closed to guests; visitors have come by a right of their own.
    let private = format!("{port}=private");
    guest.end_by("a port that is closed", || {
        done(up, &["ports", id, "--set", &private])
    });
    for open in [&visitors[0], &visitors[1], &owner, &others] {
        open.go_on();
    }
    let first = shares[0]["share_id"].as_str().unwrap();
    visitors[0].end_by("a share that is ended", || {
        done(up, &["unshare", id, first])
    });
    for open in [&visitors[1], &owner, &others] {
        open.go_on();
    }
    visitors[1].end_by("the end of all shares", || done(up, &["unshare", id]));
    owner.go_on();
    ends_at_once(&mut of_key, "a session ends with its key", || {
        done(up, &["ssh-key", "remove", "id"]);
    });
    owner.go_on();
    owner.end_by("a stop", || done(up, &["stop", id]));
    others.go_on();
    others.end_by("a removal", || done(up, &["delete", other.id()]));
    before.finished();
}

#[test]
fn attack_35_session_of_the_one_before_ends_with_its_workspace() {
    let drain = ["--drain", "120s"];
    let Some(mut login) = Login::with(&drain, &[]) else {
        return;
    };
    let workspace = Workspace(login.workspace.0.clone());
    let mut session = session(&login, &workspace);
    let mut gitpod = gitpod();
    gitpod.env("HOME", login.home.path());
    let before = login.up.replaced_by(&mut gitpod, &drain);
    ends_at_once(&mut session, "a session ends with its workspace", || {
        done(&login.up, &["stop", "--now", workspace.id()]);
    });
    before.finished();
}
