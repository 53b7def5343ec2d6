//! Who reads slowly, on a connection that others use as well.

use std::io::Read;
use std::process::Stdio;

use crate::harness::wait_until;
use crate::ssh_harness::{Background, Login, succeeded};

#[test]
fn a_channel_that_is_read_slowly_waits_loses_nothing_and_keeps_nobody_waiting() {
    let Some(login) = Login::new() else { return };
    let control = format!("-oControlPath={}", login.path("control").display());
    let _master = login.background(&["-N", "-M", &control, "ws"]);
    wait_until("the connection is there", || login.path("control").exists());

    let much = "i=0; while [ $i -lt 40 ]; do head -c 1000000 /dev/zero; echo >> written; i=$((i + 1)); done; echo end";
    let mut slow = login.client("ssh");
    slow.args([&control, "ws", much]).stdout(Stdio::piped());
    let mut slow = Background(slow.spawn().unwrap());
    let written = || std::fs::read(login.content().join("written")).map_or(0, |lines| lines.len());
    let (mut before, mut same) = (0, 0);
    wait_until("it waits for who reads it", || {
        // Others go on meanwhile.
        assert_eq!(
            succeeded(&login.ssh([&control, "ws", "echo other"])),
            "other\n"
        );
        let now = written();
        same = if now > 0 && now == before {
            same + 1
        } else {
            0
        };
        before = now;
        same == 5
    });
    // OpenSSH's window is 2 MiB, and the gateway holds half of one.
    assert!(before < 8, "{before} MB were taken for nobody");

    let mut all = Vec::new();
    let mut stdout = slow.0.stdout.take().unwrap();
    stdout.read_to_end(&mut all).unwrap();
    assert_eq!(all.len(), 40_000_004);
    assert!(slow.0.wait().unwrap().success());
}
